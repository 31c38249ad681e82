//! Reads text files block by block with Polars.

use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;

use super::collector::Collector;
use super::cutter::{Cutter, Piece};
use super::fast::{FastReader, Place};
use super::format::{FileLayout, Format};
use super::input::Input;
use super::options::LoadOptions;
use super::roles::InputColumns;
use super::strict::{self, TextBlock};
use super::text_layout::TextLayout;
use super::text_recognition::recognise_text;
use crate::error::Result;

/// Text with one row per line: the format of every file that has no other.
pub(super) struct Text;

impl Format for Text {
    fn extensions(&self) -> &'static [&'static str] {
        &["csv", "tsv", "dat", "data", "txt"]
    }

    fn fits(&self, _: &[u8]) -> bool {
        true
    }

    fn recognise(&self, input: &mut Input, options: &LoadOptions) -> Result<Box<dyn FileLayout>> {
        input.extend_head_to_lines()?;
        let whole = input.head_is_whole();
        Ok(Box::new(recognise_text(&input.path, &input.head, whole, options)?))
    }
}

impl FileLayout for TextLayout {
    fn columns(&self) -> InputColumns {
        self.input_columns()
    }

    fn read(
        &self,
        input: &mut Input,
        gather: &mut Collector<'_>,
        progress: &dyn Fn(u64),
    ) -> Result<()> {
        read(input, self, gather, progress)
    }
}

/// Reads a whole text input.
///
/// One thread cuts blocks, a second parses them with Polars, and this one converts them.
fn read(
    input: &mut Input,
    layout: &TextLayout,
    gather: &mut Collector<'_>,
    progress: &dyn Fn(u64),
) -> Result<()> {
    let fast = FastReader::new(layout, gather.options());
    let (full, pieces) = sync_channel(1);
    let (parsed, frames) = sync_channel(1);
    let (give_back, empty) = sync_channel(2);
    std::thread::scope(|scope| {
        // This closure owns the channel ends, so the other threads end when it returns early.
        let (frames, give_back, fast) = (frames, give_back, &fast);
        scope.spawn(move || {
            let mut cutter = Cutter::new(input, layout);
            while let Some(piece) = cutter.next(empty.try_recv().ok()).transpose() {
                if full.send(piece).is_err() {
                    return;
                }
            }
        });
        scope.spawn(move || {
            for piece in pieces {
                let parse = |piece: Piece| {
                    let frame = fast.parse(&piece.buffer[piece.range.clone()]);
                    (piece, frame)
                };
                if parsed.send(piece.map(parse)).is_err() {
                    return;
                }
            }
        });
        for piece in frames {
            let (Piece { buffer, range, line, lines, consumed }, frame) = piece?;
            let place = Place { line, lines, times: !gather.times_are_off() };
            match frame.and_then(|frame| fast.convert(&frame, place)) {
                Some(rows) => gather.push(rows)?,
                None => strict::read(TextBlock { bytes: &buffer[range], line }, layout, gather)?,
            }
            if gather.times_are_off() {
                fast.without_times.store(true, Ordering::Relaxed);
            }
            progress(consumed);
            // If the channel is full, there are enough buffers.
            let _ = give_back.try_send(buffer);
        }
        Ok(())
    })
}
