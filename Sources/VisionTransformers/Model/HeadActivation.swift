package import Files
import Glibc
import Tensors

/// What turns a head's logits into its answer.
package enum HeadActivation: String, Sendable, CaseIterable {
    /// One class of several: probabilities that add up to 1.
    case softmax
    /// Each class by itself, as taggers answer, or the yes or no of a single output: one probability per class.
    case sigmoid
    /// No activation: the outputs are the answer, as in regression.
    case identity = "none"

    /// The activation that transformers' image-classification pipeline applies to a head.
    ///
    /// - Parameters:
    ///   - problemType: what the head's configuration says, or nil when it does not say.
    ///   - outputs: the number of the head's outputs.
    package init(_ problemType: ProblemType?, outputs: Int) {
        self =
            switch problemType {
            case .regression: .identity
            case .multiLabel: .sigmoid
            case .singleLabel, nil: outputs == 1 ? .sigmoid : .softmax
            }
    }

    /// The problem type that gives this activation.
    package var problemType: ProblemType {
        switch self {
        case .softmax: .singleLabel
        case .sigmoid: .multiLabel
        case .identity: .regression
        }
    }

    /// The probability from which on a class with a sigmoid is among the labels, unless another is given.
    package static let usualThreshold = 0.5

    /// 1 / (1 + exp(-x)), without overflow.
    package static func sigmoid(_ logit: Double) -> Double {
        let power = exp(-logit.magnitude)
        return logit < 0 ? power / (1 + power) : 1 / (1 + power)
    }

    /// The names of all activations, for messages.
    package static let names = allCases.map(\.rawValue).joined(separator: ", ")

    /// Refuses a head that is not a softmax.
    ///
    /// - Parameters:
    ///   - task: the head's task.
    ///   - purpose: what does not support it, such as "evaluate".
    /// - Throws: `ModelError` about the task.
    package func requireSoftmax(task: String, for purpose: String) throws {
        guard self != .softmax else { return }
        throw ModelError(
            task, "\(purpose) supports heads with activation softmax; the head of this task has \(rawValue)")
    }
}

/// The kind of problem that a head was trained for: `problem_type` in a Hugging Face `config.json`.
package enum ProblemType: String, Sendable, CaseIterable {
    case regression
    case singleLabel = "single_label_classification"
    case multiLabel = "multi_label_classification"

    /// The key that says it.
    package static let key = "problem_type"

    /// Reads `problem_type` of a JSON object; nil when there is none.
    ///
    /// - Throws: `ModelError` about `path` when it is not one that transformers knows.
    package static func read(_ json: JSON, path: String) throws -> ProblemType? {
        guard let value = json.objectValue?[key], value != .null else { return nil }
        guard let type = value.stringValue.flatMap(ProblemType.init) else {
            let known = allCases.map(\.rawValue).joined(separator: ", ")
            throw ModelError(path, "\(key): expected one of \(known), found \(value.shown)")
        }
        return type
    }
}
