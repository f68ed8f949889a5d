import Datasets
package import Images
import Labelling
package import VisionTransformers

/// How a model is made ready to run over images.
package struct ModelSettings: Sendable {
    /// How images become its input.
    package var preprocessor: PreprocessorChoice
    /// How images are decoded.
    package var decoding: DecodingOptions
    /// How many images are computed at the same time.
    package var threads: Int
    /// The number format that the model multiplies in.
    package var precision: PrecisionOption
    /// Whether packed weights are kept beside the model.
    package var cache: PackedCache.Use

    /// Settings for a model.
    package init(
        preprocessor: PreprocessorChoice, decoding: DecodingOptions, threads: Int, precision: PrecisionOption,
        cache: PackedCache.Use
    ) {
        (self.preprocessor, self.decoding, self.threads) = (preprocessor, decoding, threads)
        (self.precision, self.cache) = (precision, cache)
    }
}

/// A precision, or the choice of one by the processor and the model.
package enum PrecisionOption: String, CaseIterable, Sendable {
    case f32
    case bf16
    case int8
    /// The fastest that the processor has instructions for and that keeps nearly all labels of f32.
    case auto

    /// The precision that it stands for on this processor.
    ///
    /// - Parameter keepsLabelsInInt8: whether quantization was found to keep the model's labels in int8, without which
    ///   `auto` does not take it.
    func precision(keepsLabelsInInt8: @autoclosure () throws -> Bool) rethrows -> ComputePrecision {
        switch self {
        case .f32: .f32
        case .bf16: .bf16
        case .int8: .int8
        case .auto:
            try ComputePrecision.allCases.last { try $0.isSupported && ($0 != .int8 || keepsLabelsInInt8()) } ?? .f32
        }
    }
}

/// A bundle that is ready to label: what turns files into its network's input, and the network.
struct LoadedBundle {
    let preparer: any ImagePreparing
    let classifier: any MultitaskClassifying
    /// The SHA-256 of the bundle, if it was asked for.
    let digest: String?
    /// The number format that the network multiplies in.
    let precision: ComputePrecision
    /// The library whose resize is computed.
    let resize: ResizeBackend

    /// Opens a bundle.
    ///
    /// - Parameters:
    ///   - tasks: the tasks that are asked for; backbones that none of them reads are left out. Nil for all.
    ///   - needsDigest: whether its SHA-256 is wanted.
    /// - Throws: `ModelError`, also when it has no tasks.
    init(folder: String, _ settings: ModelSettings, for tasks: [String]? = nil, needsDigest: Bool = false) throws {
        let bundle = try ModelBundle(folder: folder, preprocessor: settings.preprocessor, for: tasks)
        guard !bundle.heads.isEmpty else { throw ModelError(folder, "the bundle has no tasks, so it labels nothing") }
        precision = try settings.precision.precision(keepsLabelsInInt8: bundle.keepsLabelsInInt8)
        let computation = needsDigest ? BundleDigest(bundle, precision, settings.cache) : nil
        classifier = BundleClassifier(
            try bundle.model(threads: settings.threads, for: tasks, precision: precision, cache: settings.cache))
        preparer = PatchPreparer(bundle, decoding: settings.decoding)
        resize = bundle.preprocessing.resize
        digest = try computation?.value()
    }
}
