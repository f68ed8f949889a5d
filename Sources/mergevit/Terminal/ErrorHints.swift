import VisionTransformers

/// An error in words, with the options that help.
func description(of error: any Error) -> String {
    "\(error)" + ((error as? ModelError)?.remedy?.hint ?? "")
}

extension ModelError.Remedy {
    /// The options that help, as the end of a sentence about the error.
    var hint: String {
        switch self {
        case .giveHead: ", or give a linear head that was trained over the same features: --head NAME=FILE"
        case .giveAdapter(let path): "; give it with --adapter NAME=\(path)"
        case .giveAdapterWithBase(let path):
            "; give it with --adapter NAME=\(path), and with --base the model that it was made for"
        case .merge(let path): "; merge it first: mergevit merge --base BASE --adapter NAME=\(path) -o BUNDLE"
        case .labelWithBundle(let path):
            "; label with it by --bundle \(path), or merge the adapters that it was made of"
        case .labelWithCheckpoint(let path): "; label with it by --bundle \(path)"
        case .givePreprocessor:
            ", or give --preprocessor with such a file, or with one of \(PreprocessorChoice.Preset.names) for the "
                + "settings of these models"
        case .givePreprocessorFile: "; give --preprocessor FILE"
        case .correctPreprocessor: "; --preprocessor takes a file, or \(PreprocessorChoice.Preset.names)"
        case .quantize: "; run mergevit quantize again"
        }
    }
}
