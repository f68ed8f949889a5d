import Images
import Labelling
import VisionTransformers

/// What the model has to be told.
struct BundleOptions {
    /// The bundle's folder.
    let bundle: String
    /// How images are decoded.
    let decoding: DecodingOptions
    let threads: Int
    /// In what numbers the model multiplies.
    let precision: PrecisionChoice
}

/// Opens a bundle: what turns files into its network's input, and the network.
///
/// - Parameter tasks: the tasks that are asked for; backbones that none of them reads are left out. Nil for all.
func openBundle(
    _ options: BundleOptions, for tasks: [String]? = nil
) throws -> (any ImagePreparing, any MultitaskClassifying) {
    let bundle = try ModelBundle(folder: options.bundle)
    guard !bundle.heads.isEmpty else { throw ModelError(options.bundle, "a bundle without tasks has nothing to say") }
    let model = try bundle.model(
        threads: options.threads, for: tasks, precision: options.precision.precision(isQuantized: bundle.isQuantized))
    return (PatchPreparer(bundle, decoding: options.decoding), BundleClassifier(model))
}
