package import Datasets
package import Images
import Tensors
import VisionTransformers

/// Pictures as a backbone's patches, changed at random in every pass over them.
package struct PictureViews: Sendable {
    private let pictures: [RGBImage]
    private let preparer: PatchPreparer
    private let augmentation: Augmentation
    private let seed: UInt64

    /// Views of decoded pictures.
    ///
    /// - Parameters:
    ///   - pictures: large enough for crops if the augmentation crops (see `kept`), else prepared.
    ///   - preparer: what they were decoded with.
    ///   - augmentation: how they change.
    ///   - seed: what the changes are drawn from, together with the pass and the picture's number.
    ///   - name: tells the changes from those of other pictures of the same seed.
    package init(
        _ pictures: [RGBImage], preparer: PatchPreparer, augmentation: Augmentation, seed: UInt64, name: String = ""
    ) {
        (self.pictures, self.preparer, self.augmentation) = (pictures, preparer, augmentation)
        self.seed = name.isEmpty ? seed : SplitMix64.seed(seed, name)
    }

    /// Values of the patches of one picture.
    package var inputCount: Int { preparer.valuesPerImage }

    /// Writes the patches of a picture, changed as drawn for the pass. It may be called from several threads at once.
    package func write(_ index: Int, pass: Int, into input: UnsafeMutableBufferPointer<Float>) {
        var picture = pictures[index]
        if augmentation.crops || augmentation.flips {
            var generator = SplitMix64.augmentation(seed: seed, epoch: pass, image: index)
            let view = augmentation.view(
                height: picture.height, width: picture.width, shown: preparer.preprocessing.shownExtent(of: picture),
                &generator)
            if augmentation.crops {
                let size = ImageSize(height: preparer.imageSize.height, width: preparer.imageSize.width)
                picture = preparer.preprocessing.apply(picture, rows: view.rows, columns: view.columns, size: size)
            }
            if view.isMirrored { picture = picture.mirrored() }
        }
        preparer.writePatches(of: picture, into: input)
    }

    /// What is kept of a decoded picture for crops: the picture itself, or where that is larger, so many pixels that
    /// the smallest crop has those of the model's image.
    package static func kept(_ picture: RGBImage, preparer: PatchPreparer, augmentation: Augmentation) -> RGBImage {
        let size = augmentation.neededSize(
            of: picture, shown: preparer.preprocessing.shownExtent(of: picture),
            input: ImageSize(height: preparer.imageSize.height, width: preparer.imageSize.width), detail: 1)
        return picture.resized(to: size, filter: preparer.preprocessing.filter, backend: preparer.preprocessing.resize)
    }
}
