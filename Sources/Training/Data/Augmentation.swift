import Glibc
import Images
import Tensors

/// Random changes of training images: a part of the picture instead of all that preprocessing shows, and mirroring.
///
/// A crop takes a part of the area, uniform from `smallestArea` to all of what preprocessing shows, stretched by up to
/// `largestStretch` one way or the other, at a place uniform over the picture: random zoom and shift, the "random
/// resized crop" of Szegedy et al., Going Deeper with Convolutions, 2015. Proportions are relative to what
/// preprocessing shows, so a model whose pictures are squeezed into a square trains on squeezed ones too.
package struct Augmentation: Sendable, Equatable {
    /// Whether a part of the picture is taken.
    package var crops: Bool
    /// Whether every second picture, at random, is mirrored.
    package var flips: Bool
    /// The smallest part of the area that a crop keeps, above 0 and at most 1.
    package var smallestArea: Double

    /// How much wider, or higher, than in proportion a crop may be.
    package static let largestStretch = 4.0 / 3

    /// An augmentation from its parts; none unless specified.
    package init(crops: Bool = false, flips: Bool = false, smallestArea: Double = Self.usualSmallestArea) {
        (self.crops, self.flips, self.smallestArea) = (crops, flips, smallestArea)
    }

    /// The smallest part of the area that a crop keeps unless specified.
    package static let usualSmallestArea = 0.5

    /// The name of the option's value: none, crop, flip or crop+flip.
    package var name: String {
        switch (crops, flips) {
        case (false, false): "none"
        case (true, false): "crop"
        case (false, true): "flip"
        case (true, true): "crop+flip"
        }
    }

    /// What is shown of a picture.
    package struct View: Equatable {
        package let rows: Range<Int>
        package let columns: Range<Int>
        let isMirrored: Bool
    }

    /// Draws what is shown of a picture of which preprocessing would show `shown`. It always takes five numbers.
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

    /// The size that a picture needs to have for its crops, not larger than it is: then even the smallest crop has
    /// `detail` times the pixels of the model's image each way.
    func neededSize(
        of image: RGBImage, shown: (height: Double, width: Double), input: ImageSize, detail: Double
    ) -> ImageSize {
        let crop = smallestArea.squareRoot()
        let scale = max(Double(input.height) / shown.height, Double(input.width) / shown.width) / crop * detail
        guard scale < 1 else { return ImageSize(height: image.height, width: image.width) }
        return ImageSize(
            height: max(Int((Double(image.height) * scale).rounded(.up)), 1),
            width: max(Int((Double(image.width) * scale).rounded(.up)), 1))
    }
}
