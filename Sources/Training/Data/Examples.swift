import Compute
package import Datasets
import Images
package import Tensors
import VisionTransformers

/// Labelled inputs of a classifier, made when they are asked for.
package protocol Examples: Sendable {
    /// Values of one input.
    var inputCount: Int { get }
    /// The class of each example.
    var classes: [Int] { get }

    /// Writes the `inputCount` values of an example as it looks in an epoch. The same example and epoch give the same
    /// values; it is called from several threads at once.
    func write(_ example: Int, epoch: Int, into input: UnsafeMutableBufferPointer<Float>)
}

/// Pictures as a backbone's patches: the same in every epoch, or changed at random.
package struct PictureExamples: Examples {
    private let views: PictureViews
    /// The class of each picture.
    package let classes: [Int]

    /// Examples from decoded pictures.
    ///
    /// - Parameters:
    ///   - store: the pictures; kept for crops if the augmentation crops, else prepared.
    ///   - preparer: what they were decoded with.
    ///   - augmentation: how they change.
    ///   - seed: what the changes are drawn from, together with the epoch and the example's number.
    package init(_ store: PictureStore, preparer: PatchPreparer, augmentation: Augmentation, seed: UInt64) {
        views = PictureViews(store.pictures, preparer: preparer, augmentation: augmentation, seed: seed)
        classes = store.classes
    }

    /// Values of the patches of one picture.
    package var inputCount: Int { views.inputCount }

    /// Writes the patches of a picture, changed as drawn for the epoch.
    package func write(_ example: Int, epoch: Int, into input: UnsafeMutableBufferPointer<Float>) {
        views.write(example, pass: epoch, into: input)
    }
}

/// Features that were computed once, of the pictures and, if they flip, of their mirror images.
package struct FeatureExamples: Examples {
    private let features: FloatBuffer
    private let mirrored: FloatBuffer?
    private let seed: UInt64
    /// Values of one picture's features.
    package let inputCount: Int
    /// The class of each picture.
    package let classes: [Int]

    /// Examples from features.
    ///
    /// - Parameters:
    ///   - features: (examples, width).
    ///   - mirrored: those of the mirror images; then each is shown every second time, at random.
    ///   - width: values of one example.
    ///   - classes: the class of each.
    ///   - seed: what the choice is drawn from, together with the epoch and the example's number.
    package init(_ features: FloatBuffer, mirrored: FloatBuffer?, width: Int, classes: [Int], seed: UInt64) {
        (self.features, self.mirrored, self.seed, inputCount, self.classes) = (features, mirrored, seed, width, classes)
    }

    /// Copies the features of a picture, or of its mirror image.
    package func write(_ example: Int, epoch: Int, into input: UnsafeMutableBufferPointer<Float>) {
        var source = features
        if let mirrored {
            var generator = SplitMix64.augmentation(seed: seed, epoch: epoch, image: example)
            if generator.nextUniform() < 0.5 { source = mirrored }
        }
        input.baseAddress?.update(from: source.base + example * inputCount, count: inputCount)
    }
}
