//! Decoded images of all batches, within one budget of memory.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fast_image_resize::images::Image;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// About how many images there are; only an estimate for the first allocation.
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
    /// Keeps at most `budget` bytes of decoded images. Images that running tasks use count beside them.
    pub(super) fn new(budget: u64) -> Self {
        let mut options = OptionsBuilder::new();
        // With several shards the budget of one would be too small for a large image.
        options.estimated_items_capacity(EXPECTED_IMAGES).weight_capacity(budget).shards(1);
        let images = match options.build() {
            Ok(options) => {
                Cache::with_options(options, ByBytes, DefaultHashBuilder::default(), DefaultLifecycle::default())
            }
            Err(_) => Cache::with_weighter(EXPECTED_IMAGES, budget, ByBytes),
        };
        Self(Arc::new(Shared { images, ids: AtomicU64::new(0) }))
    }

    /// A place for one image.
    pub(super) fn place(&self) -> CachedImage {
        CachedImage { id: self.0.ids.fetch_add(1, Ordering::Relaxed), cache: self.clone() }
    }
}

/// A place for one image. The image is decoded when it is needed and not there, and removed with the place.
pub(super) struct CachedImage {
    id: u64,
    cache: ImageCache,
}

impl CachedImage {
    /// The image. Of several callers one decodes it, and the others wait.
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
        // 36 MB each, so that 14 fit.
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
