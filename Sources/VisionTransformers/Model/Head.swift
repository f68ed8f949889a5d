package import Files
package import Tensors

/// A linear classifier over the backbone's features, with its class names.
package struct Head: Sendable, Equatable {
    /// The task's name.
    package var task: String
    /// The class names in the order of the logits.
    package var classes: [String]
    /// The weight, (classes, F); it reads the first F elements of the features (see `FeatureParts`).
    package var weight: Tensor
    /// The bias, (classes).
    package var bias: Tensor
    /// What turns the logits into predictions.
    package var activation: HeadActivation

    /// A head whose shapes have been checked.
    ///
    /// - Throws: `ModelError` about `path` when the shapes and the number of class names do not agree.
    package init(
        task: String, classes: [String], weight: Tensor, bias: Tensor, activation: HeadActivation, path: String
    ) throws {
        guard weight.shape.count == 2, bias.shape == [weight.shape[0]], weight.shape[0] > 0 else {
            throw ModelError(
                path, "head of \(task): weight \(weight.shape) and bias \(bias.shape) are not those of a linear layer")
        }
        guard classes.count == weight.shape[0] else {
            throw ModelError(
                path, "head of \(task): \(weight.shape[0]) classes in the weight, \(classes.count) class names")
        }
        self.task = task
        self.classes = classes
        self.weight = weight
        self.bias = bias
        self.activation = activation
    }

    /// The same head of a task with another name.
    package func named(_ task: String) -> Head {
        var head = self
        head.task = task
        return head
    }

    /// Names for classes without one, as Hugging Face gives them: LABEL_0, LABEL_1 ...
    package static func placeholderNames(_ count: Int) -> [String] { (0..<count).map { "LABEL_\($0)" } }

    /// A head from the parameters that a checkpoint or adapter holds, by canonical name; nil when there are none.
    ///
    /// DeiT's two classifiers are averaged, which is one classifier over both tokens:
    /// (W₁h₁ + b₁ + W₂h₂ + b₂) / 2 = [W₁/2, W₂/2]·[h₁; h₂] + (b₁ + b₂)/2.
    ///
    /// - Throws: `ModelError` about `path` when the shapes do not fit the backbone.
    package static func linear(
        _ parameters: [String: Tensor], configuration: BackboneConfiguration, path: String
    ) throws -> (weight: Tensor, bias: Tensor)? {
        func classifier(_ name: String, _ width: [Int]) throws -> (weight: Tensor, bias: Tensor)? {
            guard let weight = parameters["\(name).weight"] else { return nil }
            guard weight.shape.count == 2, width.contains(weight.shape[1]) else {
                throw ModelError(
                    path, "\(name).weight: expected (classes, \(width[0])), found \(weight.shape)")
            }
            let bias = parameters["\(name).bias"] ?? Tensor(shape: [weight.shape[0]])
            guard bias.shape == [weight.shape[0]] else {
                throw ModelError(path, "\(name).bias: expected [\(weight.shape[0])], found \(bias.shape)")
            }
            return (weight, bias)
        }
        let hidden = configuration.hiddenSize
        if let single = try classifier("classifier", [hidden * configuration.classifierParts]) { return single }
        guard configuration.prefix.hasDistillation, let first = try classifier("cls_classifier", [hidden]),
            let second = try classifier("distillation_classifier", [hidden])
        else { return nil }
        let classes = first.bias.count
        guard second.bias.count == classes else {
            throw ModelError(path, "cls_classifier and distillation_classifier differ in their number of classes")
        }
        var weight = Tensor(shape: [classes, 2 * hidden])
        var bias = first.bias
        for row in 0..<classes {
            for column in 0..<hidden {
                weight.values[row * 2 * hidden + column] = first.weight.values[row * hidden + column] / 2
                weight.values[row * 2 * hidden + hidden + column] = second.weight.values[row * hidden + column] / 2
            }
            bias.values[row] = (first.bias.values[row] + second.bias.values[row]) / 2
        }
        return (weight, bias)
    }
}

/// What turns a head's logits into its predictions.
package enum HeadActivation: String, Sendable, CaseIterable {
    /// One class of several: probabilities add up to 1.
    case softmax
    /// Each class by itself, as in taggers, or the yes or no of a single output: one probability per class.
    case sigmoid
    /// No activation: the outputs are the predictions, as in regression.
    case identity = "none"

    /// The activation that transformers' image-classification pipeline applies to a head.
    ///
    /// - Parameters:
    ///   - problemType: `problem_type` of the head's configuration, or nil when it has none.
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

    /// The names of all activations, for messages.
    package static let names = allCases.map(\.rawValue).joined(separator: ", ")

    /// Rejects a head without a softmax.
    ///
    /// - Parameters:
    ///   - task: the head's task.
    ///   - purpose: what supports only a softmax, such as "evaluate".
    /// - Throws: `ModelError` about the task.
    package func requireSoftmax(task: String, for purpose: String) throws {
        guard self != .softmax else { return }
        throw ModelError(
            task, "\(purpose) supports heads with activation softmax; the head of this task has \(rawValue)")
    }
}

/// The kind of problem that a head was trained for, `problem_type` in a Hugging Face `config.json`.
package enum ProblemType: String, Sendable, CaseIterable {
    case regression
    case singleLabel = "single_label_classification"
    case multiLabel = "multi_label_classification"

    /// Its key.
    package static let key = "problem_type"

    /// Reads `problem_type` of a JSON object; nil when there is none.
    ///
    /// - Throws: `ModelError` about `path` when it is not one that transformers knows.
    package static func read(_ json: JSON, path: String) throws -> ProblemType? {
        guard let value = json.objectValue?[key], value != .null else { return nil }
        guard let type = value.stringValue.flatMap(ProblemType.init) else {
            let names = allCases.map(\.rawValue).joined(separator: ", ")
            throw ModelError(path, "\(key): expected one of \(names), found \(value.shown)")
        }
        return type
    }
}
