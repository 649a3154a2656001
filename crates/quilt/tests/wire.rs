//! Encoded values decode to the same values, no bytes make a decoder panic, and a square takes at most five bytes.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use common::{config, event, fold, launched, outcome};
use proptest::prelude::*;
use quilt::wire::{
    Assembler, ClientFrame, DecodeError, FramedEvent, Load, MAX_MESSAGE, NodeLoad, Running, ServerFrame, decode_event,
    decode_summary, encode_event, encode_summary, messages, put_framed_event,
};
use quilt::{Color, Event, Launched, Offset, Outcome, Position, Quilt, Settlement, ShareGroup, Step, Timestamp};

const TASKS: u32 = 40;

fn settled(settlements: Vec<Settlement>) -> Event {
    Event::Settled { lap: 1, at: Timestamp(1_790_000_000_000), settlements }
}

fn done(position: u32) -> Settlement {
    Settlement {
        position: Position(position),
        outcome: Outcome::Done(Color::from_rgb(position.wrapping_mul(0x9E_3779))),
    }
}

/// The encoded size of the settlements, without the constant part of an event.
fn bytes_of(settlements: Vec<Settlement>) -> usize {
    encode_event(&settled(settlements)).len() - encode_event(&settled(Vec::new())).len()
}

fn load(now: u64) -> Load {
    let running = Running { worker: "worker-1".into(), position: Position(7), attempt: 2, started_at: Timestamp(now) };
    let node = NodeLoad { name: "worker".into(), host: "here".into(), version: "0.1.0".into(), slots: 2, running: 1 };
    Load { now: Timestamp(now), unresponsive: 1, nodes: vec![node], longest: vec![running] }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn frames_of_any_size_come_together_from_their_messages(count in 0_u32..30_000, cut in 0_usize..10) {
        let events = vec![settled((0..count).map(done).collect())];
        let frame = ServerFrame::Delta { from: Step(1), events };
        let mut assembler = Assembler::default();
        let all: Vec<Vec<u8>> = messages(frame.encode()).collect();
        prop_assert!(all.iter().all(|message| message.len() <= MAX_MESSAGE));
        // An interrupted frame does not affect the next one.
        let mut broken = Assembler::default();
        for message in all.iter().take(cut.min(all.len() - 1)) {
            prop_assert_eq!(broken.receive(message), Ok(None));
        }
        let (last, first) = all.split_last().expect("at least one");
        for message in first {
            prop_assert_eq!(assembler.receive(message), Ok(None));
        }
        prop_assert_eq!(assembler.receive(last), Ok(Some(frame)));
    }

    #[test]
    fn summaries_read_back(events in proptest::collection::vec(event(TASKS), 0..20), lost in 1_usize..9) {
        let (quilt, _) = fold(&launched(5, 8, 1), &events);
        let summary = quilt.summary();
        let bytes = encode_summary(&summary);
        prop_assert_eq!(decode_summary(&bytes), Ok(summary));
        prop_assert!(decode_summary(&bytes[..bytes.len() - lost.min(bytes.len())]).is_err());
    }

    #[test]
    fn events_in_a_row_are_taken_one_by_one(events in proptest::collection::vec(event(TASKS), 0..20), lost in 1_usize..20) {
        let mut bytes = Vec::new();
        events.iter().for_each(|event| put_framed_event(&mut bytes, event));
        let mut rest = &*bytes;
        for event in &events {
            let framed = FramedEvent::take(&mut rest).expect("whole").expect("there are more");
            prop_assert_eq!(framed.is_attempts(), matches!(event, Event::Attempted { .. }));
            prop_assert_eq!(&framed.decode().expect("readable"), event);
        }
        prop_assert_eq!(FramedEvent::take(&mut rest).map(|event| event.is_none()), Ok(true));
        let mut cut = &bytes[..bytes.len().saturating_sub(lost)];
        while let Ok(Some(_)) = FramedEvent::take(&mut cut) {}
    }

    #[test]
    fn events_read_back(event in event(TASKS)) {
        prop_assert_eq!(decode_event(&encode_event(&event)), Ok(event));
    }

    #[test]
    fn settlements_at_any_positions_in_any_order_read_back(settlements in proptest::collection::vec((0_u32..1 << 20, outcome()), 0..60)) {
        let event = settled(settlements.into_iter().map(|(position, outcome)| Settlement { position: Position(position), outcome }).collect());
        prop_assert_eq!(decode_event(&encode_event(&event)), Ok(event));
    }

    #[test]
    fn frames_read_back(events in proptest::collection::vec(event(TASKS), 0..20), from in 0_u64..1 << 40) {
        let launched = launched(5, 8, 1);
        let (quilt, _) = fold(&launched, &events);
        let attempts: Vec<Event> = events.iter().filter(|event| matches!(event, Event::Attempted { .. })).cloned().collect();
        for frame in [
            ServerFrame::Snapshot(Box::new(quilt)),
            ServerFrame::Delta { from: Step(from), events },
            ServerFrame::Status(load(from)),
            ServerFrame::Attempts { after: Offset(from), upto: Offset(from + attempts.len() as u64), events: attempts },
        ] {
            prop_assert_eq!(ServerFrame::decode(&frame.encode()), Ok(frame));
        }
        for frame in [ClientFrame::Hello { from: None }, ClientFrame::Hello { from: Some(Step(from)) }, ClientFrame::Ack { step: Step(from) }, ClientFrame::Follow { after: Offset(from) }] {
            prop_assert_eq!(ClientFrame::decode(&frame.encode()), Ok(frame));
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_event(&bytes);
        let _ = ServerFrame::decode(&bytes);
        let _ = ClientFrame::decode(&bytes);
    }

    #[test]
    fn no_damage_to_a_frame_makes_a_decoder_panic(
        events in proptest::collection::vec(event(TASKS), 0..10),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<proptest::sample::Index>(),
    ) {
        let launched = launched(5, 8, 1);
        let (quilt, _) = fold(&launched, &events);
        let group = Some(ShareGroup::from_bytes([7; 16]));
        let journaled = encode_event(&Event::Launched(Launched { group, ..launched }));
        for mut bytes in [ServerFrame::encode_snapshot(&quilt), ServerFrame::Delta { from: Step(0), events }.encode(), journaled] {
            for (place, value) in &damage {
                let place = place.index(bytes.len());
                bytes[place] = *value;
            }
            bytes.truncate(cut.index(bytes.len() + 1));
            let _ = decode_event(&bytes);
            // A decoded quilt can be read, whatever its content.
            if let Ok(ServerFrame::Snapshot(quilt)) = ServerFrame::decode(&bytes) {
                let _ = quilt.summary();
                prop_assert!(quilt.progress().settled() <= quilt.progress().tasks);
            }
        }
    }

    #[test]
    fn a_square_of_a_small_quilt_costs_at_most_five_bytes_in_any_order(positions in Just((0..4096).collect::<Vec<u32>>()).prop_shuffle(), count in 1_usize..4096) {
        let settlements: Vec<Settlement> = positions.into_iter().take(count).map(done).collect();
        // The encoded count takes up to one byte more than that of no squares.
        prop_assert!(bytes_of(settlements) <= 5 * count + 1);
    }

    #[test]
    fn a_square_of_a_large_quilt_costs_at_most_five_bytes_when_it_comes_by_ranges(
        ranges in proptest::collection::vec((0_u32..1_000_000, 2_u32..3_000), 1..20),
    ) {
        let settlements: Vec<Settlement> = ranges.iter().flat_map(|(start, length)| (*start..start + length).map(done)).collect();
        let count = settlements.len();
        prop_assert!(bytes_of(settlements) <= 5 * count + 2);
    }
}

#[test]
fn every_truncation_of_an_event_is_an_error() {
    let event = settled(
        (0..20)
            .map(done)
            .chain([Settlement { position: Position(30), outcome: Outcome::Failed("no".into()) }])
            .collect(),
    );
    let bytes = encode_event(&event);
    for length in 0..bytes.len() {
        assert!(decode_event(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
    }
}

#[test]
fn a_length_that_is_not_there_is_an_error_and_reserves_nothing() {
    // An event that announces a million squares but contains none.
    let mut bytes = encode_event(&settled(Vec::new()));
    bytes.pop();
    bytes.extend([0x80, 0x80, 0x40]);
    assert!(decode_event(&bytes).is_err());
}

#[test]
fn a_launch_with_a_group_reads_back_and_its_group_is_in_no_frame() {
    let group = Some(ShareGroup::from_bytes(*b"0123456789abcdef"));
    let event = Event::Launched(Launched { group, ..launched(5, 8, 1) });
    let bytes = encode_event(&event);
    assert_eq!(decode_event(&bytes), Ok(event.clone()));
    assert_eq!(decode_event(&bytes[..10]), Err(DecodeError::Truncated));
    let Event::Launched(launched) = event else { unreachable!("it is a launch") };
    let frame = ServerFrame::encode_snapshot(&Quilt::new(launched));
    assert!(!frame.windows(16).any(|bytes| bytes == b"0123456789abcdef"));
}
