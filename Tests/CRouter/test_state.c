/* Handles, address table, buffers, window, history, runs, subscription lists, relay ring.
 * SPDX-License-Identifier: Apache-2.0 */
#include "track/addresses.h"
#include "track/handles.h"
#include "track/history.h"
#include "track/media.h"
#include "track/relay.h"
#include "track/runs.h"
#include "track/subscriptions.h"
#include "track/window.h"
#include "wire_support.h"

static void staleHandlesNameNothing(void **state)
{
    (void)state;
    struct rh_handles handles;
    assert_true(rh_handles_init(&handles, 1000));
    assert_int_equal(rh_handles_index(&handles, 0), RH_NO_INDEX);
    assert_int_equal(rh_handles_index(&handles, UINT32_MAX), RH_NO_INDEX);
    uint32_t taken[1000];
    for (uint32_t i = 0; i < 1000; i++) {
        taken[i] = rh_handles_take(&handles);
        assert_int_not_equal(taken[i], 0);
    }
    assert_int_equal(rh_handles_take(&handles), 0);
    struct dice dice = {1};
    for (uint32_t i = 0; i < 100000; i++) {
        uint32_t place = roll_below(&dice, 1000), old = taken[place];
        rh_handles_release(&handles, old);
        assert_int_equal(rh_handles_index(&handles, old), RH_NO_INDEX);
        taken[place] = rh_handles_take(&handles);
        assert_int_not_equal(taken[place], old);
        assert_int_not_equal(rh_handles_index(&handles, taken[place]), RH_NO_INDEX);
    }
    assert_int_equal(rh_handles_count(&handles), 1000);
    rh_handles_deinit(&handles);
}

/* Few objects at a time touch few places, however many come and go. */
static void handlesComeBackLate(void **state)
{
    (void)state;
    struct rh_handles handles;
    assert_true(rh_handles_init(&handles, 100000));
    uint32_t first = rh_handles_take(&handles);
    rh_handles_release(&handles, first);
    for (uint32_t i = 0; i < 1000000; i++) {
        uint32_t next = rh_handles_take(&handles);
        assert_int_not_equal(next, first);
        rh_handles_release(&handles, next);
    }
    assert_true(handles.touched <= RH_HANDLES_RESTING + 2);
    rh_handles_deinit(&handles);
}

static struct rh_address address_of(uint32_t number)
{
    struct rh_address address = {.family = number % 3 == 0 ? 6 : 4, .port = (uint16_t)(number % 7)};
    memcpy(address.ip, &number, sizeof number);
    return address;
}

static void addressTableAgreesWithAList(void **state)
{
    (void)state;
    enum { ADDRESSES = 600, ROOM = 512 };
    struct rh_addresses table;
    assert_true(rh_addresses_init(&table, ROOM, 42));
    uint32_t expected[ADDRESSES], count = 0;
    for (uint32_t i = 0; i < ADDRESSES; i++)
        expected[i] = RH_NO_INDEX;
    struct dice dice = {2};
    for (uint32_t i = 0; i < 200000; i++) {
        uint32_t number = roll_below(&dice, ADDRESSES), peer = roll_below(&dice, 1000);
        struct rh_address address = address_of(number);
        if (roll_percent(&dice, 50)) {
            bool fits = expected[number] != RH_NO_INDEX || count < ROOM;
            assert_int_equal(rh_addresses_set(&table, &address, peer), fits);
            count += fits && expected[number] == RH_NO_INDEX;
            if (fits)
                expected[number] = peer;
        } else {
            rh_addresses_remove(&table, &address);
            count -= expected[number] != RH_NO_INDEX;
            expected[number] = RH_NO_INDEX;
        }
        number = roll_below(&dice, ADDRESSES);
        address = address_of(number);
        assert_int_equal(rh_addresses_find(&table, &address), expected[number]);
    }
    rh_addresses_deinit(&table);
}

static void windowTellsDuplicates(void **state)
{
    (void)state;
    struct rh_window window = {0};
    assert_false(rh_window_has(&window, 70000));
    assert_int_equal(rh_window_note(&window, 70000), RH_ARRIVED_NEWEST);
    assert_int_equal(rh_window_note(&window, 70000), RH_ARRIVED_DUPLICATE);
    assert_int_equal(rh_window_note(&window, 70005), RH_ARRIVED_NEWEST);
    assert_false(rh_window_has(&window, 70003));
    assert_int_equal(rh_window_note(&window, 70003), RH_ARRIVED_LATE);
    assert_int_equal(rh_window_note(&window, 70003), RH_ARRIVED_DUPLICATE);
    assert_int_equal(rh_window_note(&window, 69990), RH_ARRIVED_LATE);
    assert_true(rh_window_has(&window, 69980)); /* before the first */
    assert_int_equal(rh_window_note(&window, 70005 + RH_WINDOW_PACKETS), RH_ARRIVED_NEWEST);
    assert_false(rh_window_has(&window, 70005 + RH_WINDOW_PACKETS - 1));
    assert_true(rh_window_has(&window, 70005)); /* too old to know */
    assert_int_equal(rh_window_note(&window, 70005), RH_ARRIVED_DUPLICATE);
    assert_int_equal(rh_window_note(&window, 70006), RH_ARRIVED_LATE);
    assert_int_equal(rh_window_note(&window, 9000000), RH_ARRIVED_NEWEST);
}

static void historyKeepsOneSecond(void **state)
{
    (void)state;
    struct rh_buffers buffers;
    assert_true(rh_buffers_init(&buffers, 2048));
    static uint32_t ring[RH_HISTORY_PACKETS];
    struct rh_history history = {.ring = ring};
    struct dice dice = {3};
    uint64_t seq64 = 70000, now_us = 5000000;
    for (uint32_t i = 0; i < 20000; i++) {
        struct rh_buffer *buffer = rh_buffers_take(&buffers);
        assert_non_null(buffer);
        seq64 += roll_percent(&dice, 1) ? roll_below(&dice, 3000) : roll_below(&dice, 3);
        now_us += roll_below(&dice, 4000);
        buffer->seq64 = seq64;
        buffer->arrival_us = now_us;
        if (rh_history_find(&history, &buffers, seq64) == NULL)
            rh_history_keep(&history, &buffers, buffer);
        rh_buffers_release(&buffers, buffer);
        assert_int_equal(buffers.used, history.count);
        assert_true(history.count <= RH_HISTORY_PACKETS);
        struct rh_buffer *found = rh_history_find(&history, &buffers, seq64);
        assert_true(found != NULL && found->seq64 == seq64);
    }
    uint32_t before = history.count;
    assert_int_equal(rh_history_shed(&history, &buffers), before - before / 2);
    rh_history_expire(&history, &buffers, now_us + 1);
    assert_int_equal(history.count, 0);
    assert_int_equal(buffers.used, 0);
    rh_buffers_deinit(&buffers);
}

static void runsFindBothWays(void **state)
{
    (void)state;
    struct rh_runs runs = {0};
    struct rh_run like = {.track = 5, .encoding = 1};
    assert_null(rh_runs_find_out(&runs, 100).run);
    uint64_t in = 90000, out = 70000;
    for (uint32_t i = 0; i < 100; i++) { /* runs of ten packets, five left out between them */
        rh_runs_begin(&runs, &(struct rh_run){
            .first_out_seq64 = out, .first_in_seq64 = in, .track = 5, .encoding = 1});
        out += 10;
        in += 15;
    }
    struct rh_run_place place = rh_runs_find_out(&runs, out - 13);
    assert_non_null(place.run);
    assert_int_equal(place.seq64, in - 30 + 7);
    place = rh_runs_find_in(&runs, &like, in - 30 + 7, out);
    assert_non_null(place.run);
    assert_int_equal(place.seq64, out - 13);
    assert_null(rh_runs_find_in(&runs, &like, in - 30 + 12, out).run); /* left out */
    like.epoch = 1;
    assert_null(rh_runs_find_in(&runs, &like, in - 30 + 7, out).run); /* another stream */
    assert_null(rh_runs_find_out(&runs, out - 10 * RH_RUNS_PER_SLOT - 1).run); /* forgotten */
}

static void subscriptionListsStayDense(void **state)
{
    (void)state;
    enum { SLOTS = 500, LISTS = 40 };
    struct rh_subscription_pool pool;
    assert_true(rh_subscriptions_init(&pool, SLOTS, LISTS));
    struct rh_subscription_list lists[LISTS];
    for (uint32_t i = 0; i < LISTS; i++)
        lists[i] = (struct rh_subscription_list){.first_chunk = RH_NO_INDEX};
    uint32_t list_of[SLOTS], position[SLOTS];
    memset(list_of, 0xff, sizeof list_of);
    struct dice dice = {4};
    for (uint32_t i = 0; i < 100000; i++) {
        uint32_t slot = roll_below(&dice, SLOTS);
        if (list_of[slot] == RH_NO_INDEX) {
            list_of[slot] = roll_below(&dice, roll_percent(&dice, 50) ? 2 : LISTS);
            rh_subscription entry = rh_subscription_make(slot, 3, RH_SUBSCRIPTION_NONE);
            position[slot] = rh_subscriptions_add(&pool, &lists[list_of[slot]], entry);
        } else {
            rh_subscription moved =
                rh_subscriptions_remove(&pool, &lists[list_of[slot]], position[slot]);
            position[rh_subscription_slot(moved)] = position[slot];
            list_of[slot] = RH_NO_INDEX;
        }
        slot = roll_below(&dice, SLOTS);
        if (list_of[slot] != RH_NO_INDEX)
            assert_int_equal(
                rh_subscription_slot(*rh_subscriptions_at(&pool, position[slot])), slot);
    }
    rh_subscriptions_deinit(&pool);
}

static void fullRelayRefuses(void **state)
{
    (void)state;
    struct rh_buffers buffers;
    assert_true(rh_buffers_init(&buffers, 1));
    struct rh_buffer *buffer = rh_buffers_take(&buffers);
    buffer->packet = (struct rh_packet){0};
    buffer->size = 100;
    memset(buffer->bytes, 7, 100);
    struct rh_relay *relay = rh_relay_init();
    assert_non_null(relay);
    for (uint32_t round = 0; round < 3; round++) {
        assert_null(rh_relay_peek(relay));
        for (uint32_t i = 0; i < RH_RELAY_PACKETS; i++) {
            buffer->seq64 = i;
            assert_true(rh_relay_put(relay, 9, 1, buffer));
        }
        assert_false(rh_relay_put(relay, 9, 1, buffer));
        for (uint32_t i = 0; i < RH_RELAY_PACKETS; i++) {
            const struct rh_relay_entry *entry = rh_relay_peek(relay);
            assert_non_null(entry);
            assert_int_equal(entry->seq64, i);
            assert_memory_equal(entry->bytes, buffer->bytes, 100);
            rh_relay_pop(relay);
        }
    }
    rh_relay_deinit(relay);
    rh_buffers_release(&buffers, buffer);
    rh_buffers_deinit(&buffers);
}

static rh_track_id mirror_in(struct rh_media *media)
{
    const struct rh_track_config config = {
        .kind = RH_VIDEO, .codec = RH_CODEC_VP8, .encoding_count = 1, .clock_rate = 90000};
    rh_track_id id;
    assert_int_equal(rh_media_track_create(media, 0, &config, &id), RH_OK);
    return id;
}

/* Packets that arrive are worth more than resends that may be asked for. */
static void historiesGiveWayToNewPackets(void **state)
{
    (void)state;
    const struct rh_media_sizes sizes = {
        .peers_max = 1, .tracks_max = 4, .slots_max = 4, .buffers_max = RH_BUFFERS_MIN};
    struct rh_media media;
    assert_int_equal(rh_media_init(&media, &sizes), RH_OK);
    rh_track_id ids[2] = {mirror_in(&media), mirror_in(&media)};
    for (uint32_t i = 0; i < 20000; i++) {
        struct rh_buffer *buffer = rh_media_take_buffer(&media);
        assert_non_null(buffer);
        buffer->seq64 = 70000 + i;
        buffer->arrival_us = 1;
        struct rh_track *track = rh_media_track(&media, ids[i % 2]);
        rh_history_keep(&track->encodings[0].history, &media.buffers, buffer);
        rh_buffers_release(&media.buffers, buffer);
    }
    assert_true(media.buffers.used > RH_BUFFERS_MIN / 4);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(rh_media_track_destroy(&media, ids[i]), RH_OK);
    assert_int_equal(media.buffers.used, 0);
    rh_media_deinit(&media);
}

static void fullEventArrayTellsStateChangesLater(void **state)
{
    (void)state;
    const struct rh_media_sizes sizes = {.peers_max = 1, .tracks_max = 4, .slots_max = 4};
    struct rh_media media;
    assert_int_equal(rh_media_init(&media, &sizes), RH_OK);
    rh_track_id id = mirror_in(&media);
    while (rh_events_push(&media.events, (struct rh_event){.kind = RH_EVENT_GAP}))
        continue;
    rh_media_want_keyframe(&media, rh_media_track(&media, id), 0, 5000000, true);
    assert_int_equal(media.counters.events_lost, 1);
    media.events.count = 0;
    rh_media_announce_again(&media);
    assert_int_equal(media.events.count, 1);
    assert_int_equal(media.events.items[0].kind, RH_EVENT_KEYFRAME_WANTED);
    assert_int_equal(media.events.items[0].track, id);
    media.events.count = 0;
    rh_media_announce_again(&media);
    assert_int_equal(media.events.count, 0);
    assert_int_equal(rh_media_track_destroy(&media, id), RH_OK);
    rh_media_deinit(&media);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(staleHandlesNameNothing),
        cmocka_unit_test(handlesComeBackLate),
        cmocka_unit_test(addressTableAgreesWithAList),
        cmocka_unit_test(windowTellsDuplicates),
        cmocka_unit_test(historyKeepsOneSecond),
        cmocka_unit_test(runsFindBothWays),
        cmocka_unit_test(subscriptionListsStayDense),
        cmocka_unit_test(fullRelayRefuses),
        cmocka_unit_test(historiesGiveWayToNewPackets),
        cmocka_unit_test(fullEventArrayTellsStateChangesLater),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
