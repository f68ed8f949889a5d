package import Tensors

/// A head as parameters of transformers' class for image classification with a family's backbone.
package struct TransformersClassifier: Sendable {
    /// The class: `ViTForImageClassification` and the like.
    package let architecture: String
    /// The head's parameters by their names in that class.
    package let parameters: [(name: String, tensor: Tensor)]

    /// The modules of the parameters, for `modules_to_save`.
    package var modules: [String] {
        parameters.filter { $0.name.hasSuffix(".weight") }.map { String($0.name.dropLast(".weight".count)) }
    }

    /// The parameters of a head, or nil when no class of the family reads the same features, as with heads that were
    /// aligned with a merged backbone.
    ///
    /// DeiT's two classifiers, averaged, are one head here (see `Head.linear`); it is split into them again, exactly.
    package init?(_ head: Head, configuration: BackboneConfiguration) {
        let (family, width) = (configuration.family, configuration.hiddenSize)
        let columns = head.weight.shape[1]
        if configuration.prefix.hasDistillation, columns == 2 * width {
            architecture = "DeiTForImageClassificationWithTeacher"
            parameters = [("cls_classifier", 0), ("distillation_classifier", width)].flatMap { name, start in
                let values = head.classes.indices.flatMap { row in
                    head.weight.values[row * columns + start..<row * columns + start + width].map { $0 * 2 }
                }
                return [
                    ("\(name).weight", Tensor(shape: [head.classes.count, width], values: values)),
                    ("\(name).bias", head.bias),
                ]
            }
            return
        }
        let expected = width * configuration.classifierParts
        guard columns <= expected, columns % width == 0 else { return nil }
        architecture = family.classifierArchitecture
        var weight = head.weight
        if columns < expected {
            weight = Tensor(shape: [head.classes.count, expected])
            for row in head.classes.indices {
                weight.values.replaceSubrange(
                    row * expected..<row * expected + columns,
                    with: head.weight.values[row * columns..<(row + 1) * columns])
            }
        }
        parameters = [("classifier.weight", weight), ("classifier.bias", head.bias)]
    }
}
