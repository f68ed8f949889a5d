package import Tensors

/// A head as parameters of transformers' class for image classification with a family's backbone, or of the class
/// without a head where there is no other.
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
        // timm's class always has both, of which the second may read nothing.
        let isTimm = family == .timm && columns == width
        if configuration.prefix.hasDistillation, columns == 2 * width || isTimm {
            architecture =
                family == .deit
                ? "DeiTForImageClassificationWithTeacher" : family.classifierArchitecture ?? family.architecture
            let roots = ["cls_classifier", "distillation_classifier"].map { root in
                configuration.names.outside.first { $0.new == root }?.old ?? root
            }
            let classes = head.classes.count
            var parameters: [(name: String, tensor: Tensor)] = []
            for (part, name) in roots.enumerated() {
                var weight = Tensor(shape: [classes, width])
                for row in 0..<classes where (part + 1) * width <= columns {
                    let start = row * columns + part * width
                    weight.values.replaceSubrange(
                        row * width..<(row + 1) * width, with: head.weight.values[start..<start + width].map { $0 * 2 })
                }
                let factor: Float = isTimm ? (part == 0 ? 2 : 0) : 1
                let bias = Tensor(shape: [classes], values: head.bias.values.map { $0 * factor })
                parameters += [("\(name).weight", weight), ("\(name).bias", bias)]
            }
            self.parameters = parameters
            return
        }
        let expected = width * configuration.classifierParts
        guard columns <= expected, columns % width == 0 else { return nil }
        architecture = family.classifierArchitecture ?? family.architecture
        var weight = head.weight
        if columns < expected {
            weight = Tensor(shape: [head.classes.count, expected])
            for row in head.classes.indices {
                weight.values.replaceSubrange(
                    row * expected..<row * expected + columns,
                    with: head.weight.values[row * columns..<(row + 1) * columns])
            }
        }
        let root = configuration.names.head
        parameters = [("\(root).weight", weight), ("\(root).bias", head.bias)]
    }
}
