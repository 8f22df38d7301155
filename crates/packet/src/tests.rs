use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::vec::Vec;

use crate::{BUFFER_CAPACITY, BUFFER_STRIDE, Batch, Pool, annotations};

#[test]
fn stripped_bytes_come_back_when_prepended() {
    let pool = Pool::growing();
    let mut packet = pool.packet(b"headerpayload");
    assert!(packet.strip(6));
    assert_eq!(packet.data(), b"payload");
    assert_eq!(packet.prepend(6), b"header");
    assert_eq!(packet.data(), b"headerpayload");
}

#[test]
fn a_copy_keeps_stripped_bytes_annotations_and_header_positions() {
    let pool = Pool::growing();
    let mut packet = pool.packet(b"headerpayload");
    packet.set_mac_header(0);
    packet.set_network_header(6, 3);
    packet.set_paint(7);
    packet.set_timestamp(42);
    packet.strip(6);
    let mut copy = packet.duplicate(&pool);
    assert_eq!(copy.annotations().paint(), 7);
    assert_eq!(copy.timestamp(), 42);
    assert_eq!(copy.mac_offset(), Some(-6));
    assert_eq!(copy.network_header(), Some(&b"payload"[..]));
    assert_eq!(copy.transport_header(), Some(&b"load"[..]));
    copy.data_mut()[0] = b'P';
    assert_eq!(packet.data(), b"payload");
    copy.prepend(6);
    assert_eq!(copy.data(), b"headerPayload");
}

#[test]
fn stripping_more_than_there_is_leaves_an_empty_packet_and_says_so() {
    let pool = Pool::growing();
    let mut packet = pool.packet(b"abc");
    assert!(!packet.strip(usize::MAX));
    assert!(packet.is_empty());
}

#[test]
fn a_packet_grows_past_its_headroom_and_keeps_everything() {
    let pool = Pool::growing();
    let mut packet = pool.packet(b"payload");
    packet.set_paint(3);
    packet.set_network_header(0, 4);
    packet.prepend(5000).fill(1);
    assert_eq!(packet.len(), 5007);
    assert_eq!(packet.network_header(), Some(&b"payload"[..]));
    packet.append(9000).fill(2);
    assert_eq!(packet.len(), 14007);
    assert_eq!(
        packet.network_header().map(|bytes| &bytes[..8]),
        Some(&b"payload\x02"[..])
    );
    assert_eq!(packet.annotations().paint(), 3);
}

#[test]
fn buffers_are_reused_last_in_first_out() {
    let pool = Pool::growing();
    let (first, second) = (pool.packet(b"1"), pool.packet(b"2"));
    let address = second.data().as_ptr();
    drop(first);
    drop(second);
    assert_eq!(pool.packet(b"3").data().as_ptr(), address);
}

#[test]
fn packets_outlive_the_handle_they_came_from() {
    let packet = Pool::growing().packet(b"alone");
    assert_eq!(packet.data(), b"alone");
}

#[test]
fn annotations_of_a_reused_buffer_read_as_zero() {
    let pool = Pool::growing();
    let mut packet = pool.packet(b"x");
    packet.set_annotation_word(annotations::AGGREGATE, 99);
    drop(packet);
    let mut packet = pool.packet(b"y");
    assert_eq!(packet.annotations().word(annotations::AGGREGATE), 0);
    packet.set_paint(1);
    assert_eq!(packet.annotations().word(annotations::AGGREGATE), 0);
    packet.set_annotation_word(46, 1);
    assert_eq!(packet.annotations().bytes()[44..], [0; 4]);
}

#[test]
fn frames_larger_than_a_buffer_get_their_own() {
    let pool = Pool::growing();
    let packet = pool.packet_zeroed(100, 65_535);
    assert_eq!(packet.len(), 65_535);
    assert_eq!(pool.buffers(), 0);
}

#[test]
fn filter_keeps_order_and_drops_the_rest_into_the_pool() {
    let pool = Pool::growing();
    let mut batch: Batch = (0u8..10).map(|number| pool.packet(&[number])).collect();
    let before = pool.available();
    batch.filter(|packet| (packet.data()[0] % 3 == 0).then_some(packet));
    let kept: Vec<u8> = batch.iter().map(|packet| packet.data()[0]).collect();
    assert_eq!(kept, [0, 3, 6, 9]);
    assert_eq!(pool.available(), before + 6);
}

#[test]
fn a_region_pool_hands_buffers_across_by_index_without_copying() {
    let layout = Layout::from_size_align(4 * BUFFER_STRIDE, 64).unwrap();
    // SAFETY: the layout is not empty.
    let region = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
    {
        // SAFETY: zeroed, aligned, ours, and freed after the pool and its packets are gone.
        let pool = unsafe { Pool::over_region(region, 4) };
        // SAFETY: buffer 2 is in the region and nobody holds it.
        let packet = unsafe { pool.adopt(2, 100, 60) }.unwrap();
        assert_eq!(packet.len(), 60);
        // SAFETY: as above for buffer 3; the stretch is what is wrong.
        assert!(unsafe { pool.adopt(3, u16::try_from(BUFFER_CAPACITY).unwrap(), 1) }.is_none());
        assert_eq!(pool.surrender(packet).unwrap(), (2, 100, 60));
        // With no free buffer the heap serves, and such a packet cannot be surrendered.
        let strange = pool.packet(b"from the heap");
        assert!(pool.surrender(strange).is_err());
        // SAFETY: buffer 1 is in the region and nobody holds it.
        unsafe { pool.give(1) };
        let packet = pool.packet(b"from the region");
        assert_eq!(
            pool.surrender(packet)
                .map(|(index, _, length)| (index, length))
                .unwrap(),
            (1, 15)
        );
        assert_eq!(pool.take(), None);
    }
    // SAFETY: allocated above with this layout, and no longer used.
    unsafe { dealloc(region.as_ptr(), layout) };
}
