//! Reused memory of the Brotli encoder. An encoder needs some 2 MB for a page; fresh memory of that size comes from the kernel
//! page by page, which doubles the time of a compression.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use brotli::enc::BrotliAlloc;
use brotli::{Allocator, SliceWrapper, SliceWrapperMut};

use super::limits;
use crate::lock::lock;

/// An allocator for Brotli encoders. Clones share their free buffers.
#[derive(Clone, Default)]
pub struct Buffers {
    free: Arc<Mutex<FreeBuffers>>,
}

#[derive(Default)]
struct FreeBuffers {
    /// `Vec<T>` by `T`.
    by_type: HashMap<TypeId, Vec<Box<dyn Any + Send>>>,
    bytes: usize,
}

impl FreeBuffers {
    /// Takes a buffer with room for `len` elements.
    fn take<T: Send + 'static>(&mut self, len: usize) -> Option<Vec<T>> {
        let free = self.by_type.get_mut(&TypeId::of::<T>())?;
        let fits =
            |buffer: &Box<dyn Any + Send>| buffer.downcast_ref::<Vec<T>>().is_some_and(|vec| vec.capacity() >= len);
        let index = free.iter().position(fits)?;
        let buffer = free.swap_remove(index).downcast::<Vec<T>>().ok()?;
        self.bytes -= bytes::<T>(buffer.capacity());
        Some(*buffer)
    }

    /// Keeps a buffer for another encoder, up to the limit of all free buffers.
    fn put<T: Send + 'static>(&mut self, buffer: Vec<T>) {
        let size = bytes::<T>(buffer.capacity());
        if self.bytes + size <= limits::BROTLI_FREE_BYTES {
            self.bytes += size;
            self.by_type
                .entry(TypeId::of::<T>())
                .or_default()
                .push(Box::new(buffer));
        }
    }
}

const fn bytes<T>(len: usize) -> usize {
    len.saturating_mul(size_of::<T>())
}

/// Small buffers are left to the system's allocator, which does not return their memory to the kernel.
const fn is_reused<T>(len: usize) -> bool {
    bytes::<T>(len) >= limits::BROTLI_REUSED_BYTES
}

impl<T: Clone + Default + Send + 'static> Allocator<T> for Buffers {
    type AllocatedMemory = Cell<T>;

    fn alloc_cell(&mut self, len: usize) -> Cell<T> {
        let mut buffer = match is_reused::<T>(len) {
            true => lock(&self.free).take(len).unwrap_or_default(),
            false => Vec::new(),
        };
        buffer.clear();
        buffer.resize(len, T::default());
        Cell(buffer)
    }

    fn free_cell(&mut self, cell: Cell<T>) {
        if is_reused::<T>(cell.0.capacity()) {
            lock(&self.free).put(cell.0);
        }
    }
}

impl BrotliAlloc for Buffers {}

/// Memory of an encoder.
#[derive(Default)]
pub struct Cell<T>(Vec<T>);

impl<T> SliceWrapper<T> for Cell<T> {
    fn slice(&self) -> &[T] {
        &self.0
    }
}

impl<T> SliceWrapperMut<T> for Cell<T> {
    fn slice_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free_bytes(buffers: &Buffers) -> usize {
        lock(&buffers.free).bytes
    }

    #[test]
    fn a_freed_buffer_is_reused_and_cleared() {
        let len = limits::BROTLI_REUSED_BYTES;
        let mut buffers = Buffers::default();
        let mut cell: Cell<u8> = buffers.alloc_cell(2 * len);
        cell.slice_mut().fill(7);
        let address = cell.slice().as_ptr();
        buffers.free_cell(cell);
        assert!(free_bytes(&buffers) >= len);
        let words: Cell<u32> = buffers.alloc_cell(len);
        assert_ne!(
            words.slice().as_ptr().cast(),
            address,
            "another type has its own buffers"
        );
        let cell: Cell<u8> = buffers.clone().alloc_cell(len);
        assert_eq!(cell.slice().as_ptr(), address);
        assert_eq!(cell.slice(), vec![0; len]);
        assert_eq!(free_bytes(&buffers), 0);
    }

    #[test]
    fn small_buffers_and_buffers_beyond_the_limit_are_not_kept() {
        let mut buffers = Buffers::default();
        let cell: Cell<u8> = buffers.alloc_cell(limits::BROTLI_REUSED_BYTES - 1);
        buffers.free_cell(cell);
        assert_eq!(free_bytes(&buffers), 0);
        for _ in 0..3 {
            let cells: [Cell<u8>; 2] = std::array::from_fn(|_| buffers.alloc_cell(limits::BROTLI_FREE_BYTES / 2 + 1));
            cells.into_iter().for_each(|cell| buffers.free_cell(cell));
            assert!(free_bytes(&buffers) <= limits::BROTLI_FREE_BYTES);
        }
    }
}
