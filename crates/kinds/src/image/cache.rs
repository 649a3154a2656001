//! Decoded images of all batches, within one memory limit.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fast_image_resize::images::Image;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// An estimate of the number of images, for the initial allocation.
const EXPECTED_IMAGES: usize = 16;

pub(super) type Decoded = Result<Arc<Image<'static>>, String>;

#[derive(Clone)]
struct ByBytes;

impl Weighter<u64, Decoded> for ByBytes {
    fn weight(&self, _id: &u64, decoded: &Decoded) -> u64 {
        decoded.as_ref().map_or(1, |image| image.buffer().len() as u64)
    }
}

/// The decoded images of a node. Clones share them.
#[derive(Clone)]
pub(super) struct ImageCache(Arc<Shared>);

struct Shared {
    images: Cache<u64, Decoded, ByBytes>,
    ids: AtomicU64,
}

impl ImageCache {
    /// Stores at most `budget` bytes of decoded images. Images used by running tasks are not counted.
    pub(super) fn new(budget: u64) -> Self {
        let mut options = OptionsBuilder::new();
        // The budget is divided among shards, so with several of them large images would not fit.
        options.estimated_items_capacity(EXPECTED_IMAGES).weight_capacity(budget).shards(1);
        let images = match options.build() {
            Ok(options) => {
                Cache::with_options(options, ByBytes, DefaultHashBuilder::default(), DefaultLifecycle::default())
            }
            Err(_) => Cache::with_weighter(EXPECTED_IMAGES, budget, ByBytes),
        };
        Self(Arc::new(Shared { images, ids: AtomicU64::new(0) }))
    }

    /// Creates an entry for one image.
    pub(super) fn place(&self) -> CachedImage {
        CachedImage { id: self.0.ids.fetch_add(1, Ordering::Relaxed), cache: self.clone() }
    }
}

/// An entry for one image. The image is decoded on demand, and removed when the entry is dropped.
pub(super) struct CachedImage {
    id: u64,
    cache: ImageCache,
}

impl CachedImage {
    /// Returns the image. If several callers need it at once, one of them decodes it.
    pub(super) fn get(&self, decode: impl FnOnce() -> Decoded) -> Decoded {
        let images = &self.cache.0.images;
        images.get_or_insert_with(&self.id, || Ok::<_, Infallible>(decode())).unwrap_or_else(|never| match never {})
    }
}

impl Drop for CachedImage {
    fn drop(&mut self) {
        self.cache.0.images.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use fast_image_resize::PixelType;

    use super::*;

    #[test]
    fn the_images_of_many_batches_stay_within_the_budget() {
        let decode = |side: u32| Ok(Arc::new(Image::new(side, side, PixelType::U8x4)));
        // 36 MB each, so 14 fit.
        let budget = 512 << 20;
        let cache = ImageCache::new(budget);
        let images: Vec<CachedImage> = (0..20).map(|_| cache.place()).collect();
        for image in &images {
            assert_eq!(image.get(|| decode(3_000)).expect("decoded").width(), 3_000);
            assert!(cache.0.images.weight() <= budget);
        }
        let again = images.iter().filter(|image| {
            let mut is_decoded = false;
            image
                .get(|| {
                    is_decoded = true;
                    decode(3_000)
                })
                .expect("decoded");
            is_decoded
        });
        assert!(again.count() < 20, "some are still there");
        let ids: Vec<u64> = images.iter().map(|image| image.id).collect();
        drop(images);
        assert!(ids.iter().all(|id| cache.0.images.peek(id).is_none()), "nothing outlives its batch");
    }
}
