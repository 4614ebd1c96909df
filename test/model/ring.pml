/*
 * Rings, doorbells and sleep: two threads that write to a third, which sleeps when it finds nothing.
 *
 * Checked over all interleavings: no record is overwritten before it was taken or read before it was written, none is
 * lost or taken out of order, and nobody sleeps for ever while there is something for him to do (spin reports a
 * non-end state as an error). Each step stands for one atomic access of core/ring, and is named there.
 *
 * The names BROKEN_… each leave out one step of the protocol; with any of them the model must fail, or it would not show
 * that the step is needed.
 */

#define SLOTS 2
#define MESSAGES 3
#define PRODUCERS 2
#define CONSUMER PRODUCERS /* index of the consumer's doorbell; a producer's own is its number */

typedef Ring {
  byte slot[SLOTS]; /* 0: taken; else the message that lies there */
  byte tail;
  byte head;
  bit starved;
};

Ring ring[PRODUCERS];
bit asleep[PRODUCERS + 1];
bit waiter[PRODUCERS + 1]; /* waitAsync is pending */
byte taken[PRODUCERS];

/* Doorbell.ring: load, then compare-and-swap, then notify */
inline ringDoorbell(who) {
  if
  :: asleep[who] ->
    bit won = 0;
    atomic { if :: asleep[who] -> asleep[who] = 0; won = 1 :: else fi };
    if
    :: won -> won = 0; waiter[who] = 0
    :: else
    fi
  :: else
  fi
}

/* Doorbell.sleep, first half: a waiter that an early wake left behind serves again. */
inline addWaiter(who) {
  if
  :: waiter[who]
  :: else -> atomic { if :: asleep[who] -> waiter[who] = 1 :: else fi }
  fi
}

inline lookAtRings() {
  any = false;
  from = 0;
  do
  :: from == PRODUCERS -> break
  :: else -> any = any || ring[from].tail != ring[from].head; from++
  od;
  from = 0
}

/* Outbox.ring */
inline wake() {
  if
  :: isToRing -> isToRing = false; ringDoorbell(CONSUMER)
  :: else
  fi
}

proctype Producer(byte me) {
  byte next = 1;
  byte known = 0; /* cached HEAD */
  bool queued = false;
  bool starving;
  bool isToRing = false;

  do
  :: next > MESSAGES -> wake(); break
  :: next <= MESSAGES ->
    /* RingProducer.claim */
    if
    :: ring[me].tail - known < SLOTS
    :: else -> known = ring[me].head
    fi;
    if
#ifdef BROKEN_NO_ROOM_CHECK
    :: true ->
#else
    :: ring[me].tail - known < SLOTS ->
#endif
      queued = false;
      assert(ring[me].slot[ring[me].tail % SLOTS] == 0); /* nothing that was not yet taken is overwritten */
      ring[me].slot[ring[me].tail % SLOTS] = next;
      next++;
      ring[me].tail++; /* RingProducer.publish */
      isToRing = true;
      if /* Mailbox.#poll: at once, or after more rounds */
      :: wake()
      :: true
      fi
    :: else ->
      if
      :: !queued -> /* Outbox.drain: ask for room, then look once more */
        queued = true;
        ring[me].starved = 1
      :: queued -> /* Mailbox.run: sleep unless the wish was granted meanwhile, and leave nobody else asleep */
#ifndef BROKEN_NO_RING_BEFORE_SLEEP
        wake();
#endif
        asleep[me] = 1;
#ifdef BROKEN_NO_STARVED_CHECK
        starving = true;
#else
        starving = ring[me].starved;
#endif
        if
        :: !starving -> asleep[me] = 0
        :: starving -> addWaiter(me); (waiter[me] == 0)
        fi;
        queued = false
      fi
    fi
  od
}

proctype Consumer() {
  byte from;
  byte tail;
  byte got;
  byte sum = 0;
  bool any;
  bit wanted;

  do
  :: sum == PRODUCERS * MESSAGES -> break
  :: else ->
    /* Mailbox.#poll: each ring in turn */
    any = false;
    from = 0;
    do
    :: from == PRODUCERS -> break
    :: else ->
      tail = ring[from].tail; /* RingConsumer.poll: load TAIL */
      if
      :: tail == ring[from].head
      :: else ->
        any = true;
        do
        :: ring[from].head + got == tail -> break
        :: else ->
          assert(ring[from].slot[(ring[from].head + got) % SLOTS] == taken[from] + 1); /* whole and in order */
          ring[from].slot[(ring[from].head + got) % SLOTS] = 0;
          taken[from]++;
          sum++;
          got++
        od;
        got = 0;
#ifdef BROKEN_STARVED_BEFORE_HEAD
        atomic { wanted = ring[from].starved; ring[from].starved = 0 };
#else
        ring[from].head = tail; /* store HEAD */
#endif
        /* RingConsumer.takeStarved */
#ifdef BROKEN_STARVED_BEFORE_HEAD
        ring[from].head = tail;
#else
        atomic { wanted = ring[from].starved; ring[from].starved = 0 };
#endif
        if
        :: wanted -> ringDoorbell(from)
        :: else
        fi
      fi;
      from++
    od;
    from = 0;
    /* Mailbox.run: nothing found */
    if
    :: any
    :: !any && sum < PRODUCERS * MESSAGES ->
      asleep[CONSUMER] = 1;
#ifndef BROKEN_NO_RECHECK
      lookAtRings();
#endif
      if
      :: any -> asleep[CONSUMER] = 0
      :: else ->
        addWaiter(CONSUMER);
        if
        :: true -> (waiter[CONSUMER] == 0)
        :: true -> /* Mailbox.#lookForAnswer */
          asleep[CONSUMER] = 0;
          lookAtRings();
          if
          :: any
          :: else ->
            asleep[CONSUMER] = 1;
#ifndef BROKEN_NO_SECOND_RECHECK
            lookAtRings();
#endif
            if
            :: any -> asleep[CONSUMER] = 0
            :: else -> (waiter[CONSUMER] == 0)
            fi
          fi
        fi
      fi
    :: else
    fi
  od
}

init {
  atomic {
    run Producer(0);
    run Producer(1);
    run Consumer()
  };
  (_nr_pr == 1);
  assert(taken[0] == MESSAGES && taken[1] == MESSAGES)
}
