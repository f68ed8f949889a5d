package import Datasets
import Glibc
package import Images
import Tensors
import VisionTransformers

/// Random changes of training images: cropping and mirroring.
///
/// A crop's area is uniform from `smallestArea` to all of what preprocessing shows, its aspect ratio changes by up to
/// `largestStretch` either way, and its position is uniform over the picture: the "random resized crop" of Szegedy et
/// al., Going Deeper with Convolutions, 2015. Proportions are relative to what preprocessing shows, so a model whose
/// pictures are squeezed into a square also trains on squeezed ones.
package struct Augmentation: Sendable, Equatable {
    /// Whether pictures are cropped.
    package var crops: Bool
    /// Whether pictures are mirrored with probability 1/2.
    package var flips: Bool
    /// The smallest crop as a share of the area, above 0 and at most 1.
    package var smallestArea: Double

    /// The largest change of the aspect ratio by a crop.
    package static let largestStretch = 4.0 / 3

    /// An augmentation; by default none.
    package init(crops: Bool = false, flips: Bool = false, smallestArea: Double = Self.usualSmallestArea) {
        (self.crops, self.flips, self.smallestArea) = (crops, flips, smallestArea)
    }

    /// The default of `smallestArea`.
    package static let usualSmallestArea = 0.5

    /// The name: none, crop, flip or crop+flip.
    package var name: String {
        switch (crops, flips) {
        case (false, false): "none"
        case (true, false): "crop"
        case (false, true): "flip"
        case (true, true): "crop+flip"
        }
    }

    /// The part of a picture that is shown.
    package struct View: Equatable {
        package let rows: Range<Int>
        package let columns: Range<Int>
        let isMirrored: Bool
    }

    /// Draws a view of a picture of which preprocessing shows `shown`. It always draws five random numbers.
    func view(
        height: Int, width: Int, shown: (height: Double, width: Double), _ generator: inout SplitMix64
    ) -> View {
        let area = smallestArea + (1 - smallestArea) * generator.nextUniform()
        let stretch = exp((2 * generator.nextUniform() - 1) * log(Self.largestStretch))
        let (top, left, coin) = (generator.nextUniform(), generator.nextUniform(), generator.nextUniform())
        let isMirrored = flips && coin < 0.5
        guard crops else { return View(rows: 0..<height, columns: 0..<width, isMirrored: isMirrored) }
        func range(_ extent: Int, _ wanted: Double, _ place: Double) -> Range<Int> {
            let count = min(max(Int(wanted.rounded()), 1), extent)
            let start = Int(place * Double(extent - count + 1))
            return start..<start + count
        }
        return View(
            rows: range(height, shown.height * (area / stretch).squareRoot(), top),
            columns: range(width, shown.width * (area * stretch).squareRoot(), left), isMirrored: isMirrored)
    }

    /// The size that a picture needs so that its smallest crop has `detail` times the model's pixels in each direction;
    /// at most its own size.
    func neededSize(
        of image: RGBImage, shown: (height: Double, width: Double), input: ImageSize, detail: Double
    ) -> ImageSize {
        let crop = smallestArea.squareRoot()
        let scale = max(Double(input.height) / shown.height, Double(input.width) / shown.width) / crop * detail
        guard scale < 1 else { return image.size }
        return ImageSize(
            height: max(Int((Double(image.height) * scale).rounded(.up)), 1),
            width: max(Int((Double(image.width) * scale).rounded(.up)), 1))
    }
}

/// Pictures as a backbone's patches, augmented anew in every pass over them.
package struct AugmentedPictures: Sendable {
    private let pictures: [RGBImage]
    private let preparer: PatchPreparer
    private let augmentation: Augmentation
    private let seed: UInt64

    /// Augments decoded pictures.
    ///
    /// - Parameters:
    ///   - pictures: large enough for crops if the augmentation crops (see `sizedForCrops`), else preprocessed.
    ///   - preparer: what they were decoded with.
    ///   - augmentation: how they change.
    ///   - seed: determines the changes, together with the pass and the picture's index.
    ///   - name: makes the changes differ from those of other pictures with the same seed.
    package init(
        _ pictures: [RGBImage], preparer: PatchPreparer, augmentation: Augmentation, seed: UInt64, name: String = ""
    ) {
        (self.pictures, self.preparer, self.augmentation) = (pictures, preparer, augmentation)
        self.seed = name.isEmpty ? seed : SplitMix64.seed(seed, name)
    }

    /// The number of values in the patches of one picture.
    package var inputCount: Int { preparer.valuesPerImage }

    /// Writes the patches of a picture, augmented for the pass. Thread-safe.
    package func write(_ index: Int, pass: Int, into input: UnsafeMutableBufferPointer<Float>) {
        var picture = pictures[index]
        if augmentation.crops || augmentation.flips {
            var generator = SplitMix64.augmentation(seed: seed, epoch: pass, image: index)
            let view = augmentation.view(
                height: picture.height, width: picture.width, shown: preparer.preprocessing.shownExtent(of: picture),
                &generator)
            if augmentation.crops {
                picture = preparer.preprocessing.apply(
                    picture, rows: view.rows, columns: view.columns, size: preparer.imageSize)
            }
            if view.isMirrored { picture = picture.mirrored() }
        }
        preparer.writePatches(of: picture, into: input)
    }

    /// A decoded picture, reduced so far that its smallest crop still has the model's size.
    package static func sizedForCrops(_ picture: RGBImage, preparer: PatchPreparer, augmentation: Augmentation)
        -> RGBImage
    {
        let size = augmentation.neededSize(
            of: picture, shown: preparer.preprocessing.shownExtent(of: picture),
            input: preparer.imageSize, detail: 1)
        return picture.resized(to: size, filter: preparer.preprocessing.filter, backend: preparer.preprocessing.resize)
    }
}
