/* Two keys, a window that is used once, the emergency stop, burn before fire, at-most-once sending, crashes, recovery.

   test_protocol_model.py says which code each part stands for, and runs this. One `atomic` is one transaction, or one
   effect outside; between two of them everybody else may move, and whoever fires may die. Time is not modelled: an
   open window may run out at any moment. People are 1, 2 and 3; that it is always 1 who asks loses nothing, since their
   names stand nowhere else. Each `#ifdef` that is not a size is a planted mistake, and has to be found.            */

#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef WINDOWS
#define WINDOWS 2
#endif
#define FIRERS 2
#define REQUESTER 1
#define NOBODY 0
#define NONE 255

mtype:window = { UNASKED, REQUESTED, ACTIVE, CONSUMED, EXPIRED, REVOKED };
mtype:message = { PENDING, SENDING, SENT, FAILED, UNKNOWN };
mtype:course = { UNOPENED, OPEN, ENDED, INTERRUPTED };

/* The store. A window may open one run, so both bear one number. */
bool stop;                         /* the emergency stop is engaged */
bool sender;                       /* the sender is on */
byte asked;                        /* windows requested so far: the newest is asked - 1 */
mtype:window window[WINDOWS];
byte key1[WINDOWS], key2[WINDOWS]; /* who approved */
byte permit[WINDOWS];              /* which messages were approved, as bits */
mtype:course run_is[WINDOWS];
mtype:message message[MESSAGES];
byte owner[MESSAGES];              /* the run that claimed it */

/* The operating system: who is alive, and in which run. */
bool alive[FIRERS];
byte runs[FIRERS];

/* What the stop has told people. */
bool acknowledged;

/* What only the claims below look at. */
byte left[MESSAGES];               /* how often it went out */
byte fired[WINDOWS];               /* how many won the window */
bool ran_out[WINDOWS];             /* expired or revoked before anybody won it */
bool stale;                        /* the sender is on, and it was so before the last burn */

#define NEWEST (asked - 1)
#define STANDS (window[NEWEST] == REQUESTED || window[NEWEST] == ACTIVE)
#define IS_OPEN (asked > 0 && STANDS)
#if MESSAGES == 1
#define WAITING ((message[0] == PENDING) * 1)
#else
#define WAITING ((message[0] == PENDING) * 1 + (message[1] == PENDING) * 2)
#endif
#define DEAD(w) (run_is[w] == OPEN && runs[0] != w && runs[1] != w)

#ifdef TTL_NOT_LOOKED_AT
#define IS_ACTIVE (asked > 0 && (window[NEWEST] == ACTIVE || window[NEWEST] == EXPIRED))
#else
#define IS_ACTIVE (asked > 0 && window[NEWEST] == ACTIVE)
#endif
#define PERMITTED (!stop && sender && IS_ACTIVE && WAITING && WAITING == permit[NEWEST])

#ifdef WORK_BEGINS_WHILE_STOPPED
#define MAY_BEGIN true
#else
#define MAY_BEGIN !stop
#endif

inline die(f) {
    alive[f] = false;
    runs[f] = NONE;
}

/* What has to hold whenever a message is about to go out. */
inline claims_at_sending(w, m, told) {
    assert(!acknowledged);
    assert(!told);
    assert(window[w] == CONSUMED);
    assert(!stale);
    assert(fired[w] == 1);
    assert(key1[w] != NOBODY && key2[w] != NOBODY && key1[w] != key2[w]);
    assert(key1[w] != REQUESTER && key2[w] != REQUESTER);
    assert(permit[w] & (1 << m));
}

inline burn(w) {
#ifndef WINDOW_NOT_CONSUMED
    window[w] = CONSUMED;
#endif
    stale = sender;
#ifndef SENDER_LEFT_ON
    sender = false;
    stale = false;
#endif
}

inline open_run(f, w) {
    assert(!ran_out[w]);
    fired[w]++;
    assert(fired[w] == 1);
    run_is[w] = OPEN;
    runs[f] = w;
}

proctype firer(byte f) {
    byte w = NONE, m = 0;
    mtype:message outcome = PENDING;
    bool told = false;
end_idle:
    atomic { MAY_BEGIN -> alive[f] = true } /* registered as running work, which is refused while stopped */
    {
#ifdef BURN_WITHOUT_RECHECK /* looked at, then done: two may have looked */
        if
        :: PERMITTED -> w = NEWEST
        :: else -> goto done
        fi;
        atomic { burn(w); open_run(f, w) }
#else
        atomic {
            if
            :: PERMITTED ->
                w = NEWEST;
                open_run(f, w);
#ifndef FIRE_BEFORE_BURN
                burn(w)
#endif
            :: else -> goto done
            fi
        }
#endif
next:   do
        :: atomic { /* claim, by compare-and-swap, in a transaction that looks at the stop again */
                m < MESSAGES ->
                told = stop;
                if
#ifndef CLAIM_WITHOUT_RECHECK
                :: stop -> told = false; break
#else
                :: false -> skip
#endif
                :: else ->
                    if
#ifdef CLAIM_WITHOUT_SWAP
                    :: (permit[w] & (1 << m)) ->
#else
                    :: (permit[w] & (1 << m)) && message[m] == PENDING ->
#endif
#ifndef SEND_BEFORE_CLAIM
                        message[m] = SENDING;
#endif
                        owner[m] = w
                    :: else -> told = false; m++; goto next
                    fi
                fi
            }
            atomic { /* send: whether it went out, and whether we get to know */
                claims_at_sending(w, m, told);
                told = false;
                if
                :: left[m]++; outcome = SENT
                :: outcome = FAILED
                :: left[m]++; outcome = UNKNOWN
                fi;
                assert(left[m] <= 1)
            }
            atomic { message[m] = outcome; outcome = PENDING; owner[m] = NONE; m++ }
        :: else -> break
        od;
#ifdef FIRE_BEFORE_BURN
        atomic { burn(w) };
#endif
        atomic { run_is[w] = ENDED };
done:
        atomic { die(f) }
    } unless { atomic { !alive[f] -> w = NONE; m = 0; told = false; outcome = PENDING } }
    goto end_idle
}

/* A process may be killed at any moment, by whatever kills processes. */
active proctype murderer() {
end:
    do
    :: atomic { alive[0] -> die(0) }
    :: atomic { alive[1] -> die(1) }
#ifdef PROGRESS
    :: true -> true /* need not happen */
#endif
    od
}

/* The stop: engaged at any moment; acknowledged when no work is running, which is ended for that; released later. */
active proctype stopper() {
end:
    do
#ifdef PROGRESS
    :: !stop -> true /* need not happen */
#endif
    :: atomic { !stop -> stop = true }
#ifdef ACKNOWLEDGED_ON_FLAG
    :: atomic { stop && !acknowledged -> acknowledged = true }
#endif
    :: atomic { stop && !acknowledged && alive[0] -> die(0) }
    :: atomic { stop && !acknowledged && alive[1] -> die(1) }
    :: atomic { stop && !acknowledged && !alive[0] && !alive[1] -> acknowledged = true }
    :: atomic { acknowledged -> acknowledged = false; stop = false }
    od
}

inline mark_interrupted(w) {
    byte i;
    for (i : 0 .. MESSAGES - 1) {
        if
        :: message[i] == SENDING && owner[i] == w ->
#ifdef SENDING_IS_SENT_AGAIN
            message[i] = PENDING;
#else
            message[i] = UNKNOWN;
#endif
            owner[i] = NONE
        :: else
        fi
    }
    i = 0;
    run_is[w] = INTERRUPTED
}

inline close(status) { /* nobody will look at its keys again */
    window[NEWEST] = status;
    ran_out[NEWEST] = true;
    key1[NEWEST] = NOBODY;
    key2[NEWEST] = NOBODY
}

#ifdef NOBODY_RECOVERS
#define RECOVERABLE(w) false
#else
#define RECOVERABLE(w) DEAD(w)
#endif

/* Recovery of a run whose process is gone, in one transaction that locks down. */
active proctype recovery() {
    byte w = 0;
end:
    do
    :: atomic {
        RECOVERABLE(0) || RECOVERABLE(WINDOWS - 1) ->
        if
        :: DEAD(0) -> w = 0
        :: else -> w = WINDOWS - 1
        fi;
        mark_interrupted(w);
#ifndef RECOVERY_LEAVES_OPEN
        sender = false;
        stale = false;
        if
        :: IS_OPEN -> close(REVOKED)
        :: else
        fi;
#endif
        assert(window[w] == CONSUMED && !sender && !IS_OPEN);
        w = 0
    }
    od
}

inline approve(person) {
    if
    :: key1[NEWEST] == NOBODY -> key1[NEWEST] = person
    :: else -> key2[NEWEST] = person; window[NEWEST] = ACTIVE
    fi;
    assert(seen)
}

#ifdef REQUESTER_MAY_APPROVE
#define FIT_REQUESTER true
#else
#define FIT_REQUESTER false
#endif
#ifdef ONE_PERSON_TWICE
#define HAS_APPROVED(person) false
#else
#define HAS_APPROVED(person) (key1[NEWEST] == person)
#endif
#ifdef KEY_FOR_ANOTHER_WINDOW
#define APPROVABLE (!stop && asked > 0 && window[NEWEST] == REQUESTED)
#else
#define APPROVABLE (!stop && asked > 0 && seen && window[NEWEST] == REQUESTED)
#endif
#ifdef TWO_WINDOWS_OPEN
#define REQUESTABLE (!stop && asked < WINDOWS && WAITING)
#else
#define REQUESTABLE (!stop && asked < WINDOWS && WAITING && !IS_OPEN)
#endif

/* People do whatever they may at any moment. What an approval is for is what its person has looked at. */
active proctype people() {
    bool seen = false; /* the newest window */
end:
    do
    :: atomic {
        REQUESTABLE ->
        asked++;
        seen = false;
        permit[NEWEST] = WAITING;
        window[NEWEST] = REQUESTED;
        assert(asked < 2 || (window[0] != REQUESTED && window[0] != ACTIVE))
    }
    :: atomic { IS_OPEN && !seen -> seen = true }
    :: atomic { APPROVABLE && FIT_REQUESTER && !HAS_APPROVED(1) -> approve(1) }
    :: atomic { APPROVABLE && !HAS_APPROVED(2) -> approve(2) }
    :: atomic { APPROVABLE && !HAS_APPROVED(3) -> approve(3) }
    :: atomic { IS_OPEN -> close(REVOKED) }
    :: atomic { !stop && (!sender || stale) -> sender = true; stale = false }
    :: atomic { sender -> sender = false; stale = false }
    od
}

/* Time: the hours of a window and of the sender may end at any moment. */
active proctype clock() {
end:
    do
    :: atomic { IS_OPEN -> close(EXPIRED) }
    :: atomic { sender -> sender = false; stale = false }
    od
}

init {
    atomic {
        byte i;
        for (i : 0 .. WINDOWS - 1) { window[i] = UNASKED; run_is[i] = UNOPENED }
        for (i : 0 .. MESSAGES - 1) { message[i] = PENDING; owner[i] = NONE }
        runs[0] = NONE;
        runs[1] = NONE;
        i = 0;
        run firer(0);
        run firer(1)
    }
}

#ifdef PROGRESS
/* Nothing stays half done: whoever opened a run ends it, or recovery does; and a stop is acknowledged. */
ltl runs_end { [] (run_is[0] == OPEN -> <> (run_is[0] != OPEN)) }
ltl stop_ends { [] (stop -> <> acknowledged) }
#endif
