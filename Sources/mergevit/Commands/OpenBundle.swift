import Datasets
import Images
import Labelling
import VisionTransformers
import Workflows

/// What the model has to be told.
struct BundleOptions {
    /// The bundle's folder.
    let bundle: String
    /// How images become its input.
    let preprocessor: PreprocessorChoice
    /// How images are decoded.
    let decoding: DecodingOptions
    let threads: Int
    /// In what numbers the model multiplies.
    let precision: PrecisionChoice
    /// Whether packed weights are kept beside the model.
    let cache: PackedCache.Use
}

/// A bundle that is ready to label: what turns files into its network's input, and the network.
struct OpenedBundle {
    let preparer: any ImagePreparing
    let classifier: any MultitaskClassifying
    /// The SHA-256 of the bundle, if it was asked for.
    let digest: String?
    /// In what numbers the network multiplies.
    let precision: ComputePrecision
    /// Whose resize it is.
    let resize: ResizeBackend

    /// Opens a bundle.
    ///
    /// - Parameters:
    ///   - tasks: the tasks that are asked for; backbones that none of them reads are left out. Nil for all.
    ///   - needsDigest: whether its SHA-256 is wanted.
    init(_ options: BundleOptions, for tasks: [String]? = nil, needsDigest: Bool = false) throws {
        let bundle = try ModelBundle(folder: options.bundle, preprocessor: options.preprocessor)
        guard !bundle.heads.isEmpty else {
            throw ModelError(options.bundle, "a bundle without tasks has nothing to say")
        }
        precision = try options.precision.precision(keepsLabelsInInt8: bundle.keepsLabelsInInt8)
        let computation = needsDigest ? BundleDigest(bundle, precision, options.cache) : nil
        classifier = BundleClassifier(
            try bundle.model(threads: options.threads, for: tasks, precision: precision, cache: options.cache))
        preparer = PatchPreparer(bundle, decoding: options.decoding)
        resize = bundle.preprocessing.resize
        digest = try computation?.value()
    }
}

/// Opens a bundle that only has to answer.
func openBundle(
    _ options: BundleOptions, for tasks: [String]? = nil
) throws -> (any ImagePreparing, any MultitaskClassifying) {
    let bundle = try OpenedBundle(options, for: tasks)
    return (bundle.preparer, bundle.classifier)
}
