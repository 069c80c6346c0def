"""One module for each step. It says whether it can be taken back (`reversible`), and without loss (`data_safe`)."""
