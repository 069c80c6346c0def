# What the Task Scheduler of Windows calls: one cycle, if one is due. Arguments go to `ops cycle --slot now`.
#
# Ends as ops ends: 0 done, 1 findings, 2 refused by a guard, 3 failed, 64 usage. The task bounds the run.
# OPS_PROGRAM names another ops.
$ErrorActionPreference = 'Stop'

function Stop-Run([string] $Message) {
    [Console]::Error.WriteLine("ops: $Message")
    exit 3
}

$root = Split-Path -Parent $PSScriptRoot
$program = $env:OPS_PROGRAM
if (-not $program) {
    $program = Join-Path $root '.venv\Scripts\ops.exe'
    if (-not (Test-Path -LiteralPath $program)) {
        $found = Get-Command -Name ops -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
        if (-not $found) {
            Stop-Run "ops cannot be found`n  where    $program, and PATH`n  next     install pytest-runbook into $root\.venv"
        }
        $program = $found.Source
    }
}

try {
    Set-Location -LiteralPath $root
    # What ops writes to stderr is no error of this script.
    $ErrorActionPreference = 'Continue'
    & $program cycle --slot now @args
    $code = $LASTEXITCODE
} catch {
    Stop-Run "ops cannot be started: $program ($($_.Exception.Message))"
}
if ($null -eq $code) { Stop-Run "ops did not run: $program" }
exit $code
