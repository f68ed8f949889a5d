import ArgumentParser
import Labelling

/// What the command answers to its caller.
enum Exit {
    /// Everything was labelled.
    static let allWell: Int32 = 0
    /// Some inputs have no labels; their rows say why.
    static let someFailed: Int32 = 1
    /// The command line makes no sense.
    static let usage: Int32 = 2
    /// The model, the inputs' list or the output cannot be used.
    static let unusable: Int32 = 3
}

/// An error in how the command was called, found after the arguments were parsed.
struct UsageError: Error, CustomStringConvertible {
    let description: String
}

/// Turns whatever a command throws into words on stderr and an exit code. Nothing else does.
enum Failure {
    /// Reports the error and gives the code to exit with.
    static func report(_ error: any Error) -> Int32 {
        switch error {
        case let code as ExitCode: return code.rawValue
        case LabellingError.outputClosed: return Exit.allWell
        case LabellingError.unknownTask, LabellingError.options, is UsageError:
            say("\(error)")
            return Exit.usage
        default: break
        }
        switch MergeVit.exitCode(for: error) {
        case .success:
            StandardStream.output.write(MergeVit.fullMessage(for: error) + "\n")
            return Exit.allWell
        case .validationFailure:
            let prefix = "Error: "
            let message = MergeVit.fullMessage(for: error)
            say(message.hasPrefix(prefix) ? String(message.dropFirst(prefix.count)) : message)
            return Exit.usage
        default:
            say("\(error)")
            return Exit.unusable
        }
    }

    private static func say(_ message: String) {
        StandardStream.error.write("mergevit: error: \(message)\n")
    }
}
