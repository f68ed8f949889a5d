import Datasets
import Files
import Labelling
import Training
import VisionTransformers

/// An error in words, with the options that help: libraries say what is wrong, and do not know the command line.
func description(of error: any Error) -> String { "\(error)" + ErrorHints.hint(for: error) }

/// The option that helps with an error.
enum ErrorHints {
    /// What follows the error's description; empty if no option helps.
    static func hint(for error: any Error) -> String {
        switch error {
        case let error as ModelError: error.remedy?.hint ?? ""
        case OutputError.exists, OutputError.notOurs: "; --force replaces it"
        case LabellingError.resume: "; --restart drops it"
        case is UnfinishedRun: "; --resume continues it, --force starts over"
        case is NoInputs: "; --allow-empty accepts that"
        case let error as UnknownTask: Suggestion.sentence(for: error.name, among: error.tasks)
        default: ""
        }
    }
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
