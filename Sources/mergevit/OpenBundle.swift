import Labelling

/// What the model has to be told.
struct BundleOptions {
    /// What transparent images are laid on.
    enum Alpha: String, CaseIterable {
        case white, black, ignore
    }

    /// The bundle's folder.
    let bundle: String
    let alpha: Alpha
    /// Images of more pixels are refused.
    let maximumPixels: Int
    let batchSize: Int
    let threads: Int
}

/// Opens a bundle: what turns files into its network's input, and the network.
func openBundle(_ options: BundleOptions) throws -> (any ImagePreparing, any MultitaskClassifying) {
    throw EngineNotLinked()
}

/// Stands in until the engine is part of the build.
struct EngineNotLinked: Error, CustomStringConvertible {
    let description = "engine not linked yet"
}
