//! Decoded images of all batches, within one budget of memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use fast_image_resize::images::Image;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// The most bytes of decoded images that stay in memory. Images that running tasks use count beside them.
const BUDGET_BYTES: u64 = 512 << 20;

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

static IMAGES: LazyLock<Cache<u64, Decoded, ByBytes>> = LazyLock::new(|| {
    let mut options = OptionsBuilder::new();
    // With several shards the budget of one would be too small for a large image.
    options.estimated_items_capacity(EXPECTED_IMAGES).weight_capacity(BUDGET_BYTES).shards(1);
    match options.build() {
        Ok(options) => {
            Cache::with_options(options, ByBytes, DefaultHashBuilder::default(), DefaultLifecycle::default())
        }
        Err(_) => Cache::with_weighter(EXPECTED_IMAGES, BUDGET_BYTES, ByBytes),
    }
});

static IDS: AtomicU64 = AtomicU64::new(0);

/// A place for one image. The image is decoded when it is needed and not there, and forgotten with the place.
pub(super) struct CachedImage(u64);

impl CachedImage {
    pub(super) fn new() -> Self {
        Self(IDS.fetch_add(1, Ordering::Relaxed))
    }

    /// The image. Of several callers one decodes it, and the others wait.
    pub(super) fn get(&self, decode: impl FnOnce() -> Decoded) -> Decoded {
        IMAGES
            .get_or_insert_with(&self.0, || Ok::<_, std::convert::Infallible>(decode()))
            .unwrap_or_else(|never| match never {})
    }
}

impl Drop for CachedImage {
    fn drop(&mut self) {
        IMAGES.remove(&self.0);
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
        let images: Vec<CachedImage> = (0..20).map(|_| CachedImage::new()).collect();
        for image in &images {
            assert_eq!(image.get(|| decode(3_000)).expect("decoded").width(), 3_000);
            assert!(IMAGES.weight() <= BUDGET_BYTES);
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
        let ids: Vec<u64> = images.iter().map(|image| image.0).collect();
        drop(images);
        assert!(ids.iter().all(|id| IMAGES.peek(id).is_none()), "nothing outlives its batch");
    }
}
