import Compute
package import Datasets
import Images
package import Tensors
import VisionTransformers

/// Labelled inputs of a classifier, made on demand.
package protocol Examples: Sendable {
    /// The number of values of one input.
    var inputCount: Int { get }
    /// The class of each example.
    var classes: [Int] { get }

    /// Writes the `inputCount` values of an example in an epoch. The same example and epoch give the same values.
    /// Called from several threads at once.
    func write(_ example: Int, epoch: Int, into input: UnsafeMutableBufferPointer<Float>)
}

/// Pictures as a backbone's patches, optionally augmented anew in every epoch.
package struct PictureExamples: Examples {
    private let pictures: AugmentedPictures
    /// The class of each picture.
    package let classes: [Int]

    /// Examples from decoded pictures.
    ///
    /// - Parameters:
    ///   - store: the pictures; sized for crops if the augmentation crops, else preprocessed.
    ///   - preparer: what they were decoded with.
    ///   - augmentation: how they change.
    ///   - seed: determines the changes, together with the epoch and the example's index.
    package init(_ store: PictureStore, preparer: PatchPreparer, augmentation: Augmentation, seed: UInt64) {
        pictures = AugmentedPictures(store.pictures, preparer: preparer, augmentation: augmentation, seed: seed)
        classes = store.classes
    }

    /// The number of values in the patches of one picture.
    package var inputCount: Int { pictures.inputCount }

    /// Writes the patches of a picture, augmented for the epoch.
    package func write(_ example: Int, epoch: Int, into input: UnsafeMutableBufferPointer<Float>) {
        pictures.write(example, pass: epoch, into: input)
    }
}

/// Precomputed features of pictures and, for mirroring, of their mirror images.
package struct FeatureExamples: Examples {
    private let features: FloatBuffer
    private let mirrored: FloatBuffer?
    private let seed: UInt64
    /// The number of features of one picture.
    package let inputCount: Int
    /// The class of each picture.
    package let classes: [Int]

    /// Examples from features.
    ///
    /// - Parameters:
    ///   - features: (examples, width).
    ///   - mirrored: those of the mirror images, which are used with probability 1/2; nil for no mirroring.
    ///   - width: the number of features of one example.
    ///   - classes: the class of each example.
    ///   - seed: determines the choice, together with the epoch and the example's index.
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
