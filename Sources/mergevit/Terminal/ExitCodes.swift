import ArgumentParser
import Datasets
import Files
import Labelling
import Workflows

/// The exit codes of the command.
enum Exit {
    /// Everything was labelled.
    static let allWell: Int32 = 0
    /// More inputs have no labels than --max-failed allows; their rows say why.
    static let someFailed: Int32 = 1
    /// The command line is invalid.
    static let usage: Int32 = 2
    /// The model, the inputs or the output cannot be used.
    static let unusable: Int32 = 3
    /// A model is less accurate than was asked for.
    static let notAccurateEnough: Int32 = 4
}

/// Turns whatever a command throws into words on stderr and an exit code. Nothing else does.
enum Failure {
    /// Reports the error of a command and gives the code to exit with.
    static func report(_ error: any Error, of command: any ParsableCommand.Type) -> Int32 {
        switch error {
        case let code as ExitCode: return code.rawValue
        case OutputError.closed: return Exit.allWell
        case is UnknownTask, is EvaluationSettingsError, LabellingError.options, LabellingError.labelSeparator,
            LabellingError.needsFile:
            say(Array(description(of: error).utf8))
            return Exit.usage
        default: break
        }
        switch command.exitCode(for: error) {
        case .success:
            StandardStream.output.write(command.fullMessage(for: error) + "\n")
            return Exit.allWell
        case .validationFailure:
            let prefix = "Error: "
            let message = command.fullMessage(for: error)
            // The parser speaks of arguments as it was given them, in strings that stand for bytes.
            say(RawArguments.bytes(of: message.hasPrefix(prefix) ? String(message.dropFirst(prefix.count)) : message))
            return Exit.usage
        default:
            say(Array(description(of: error).utf8))
            return Exit.unusable
        }
    }

    private static func say(_ message: [UInt8]) {
        StandardStream.error.write(Array("mergevit: error: ".utf8) + message + Array("\n".utf8))
    }
}
