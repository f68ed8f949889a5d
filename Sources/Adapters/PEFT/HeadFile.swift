import Files
import Glibc
import Tensors
import VisionTransformers

/// A linear head in a file of its own, under whatever names it was saved.
enum HeadFile {
    /// The names of modules that people give a head.
    private static let roots = ["classifier", "head", "fc", "linear", "cls_classifier", "distillation_classifier"]

    /// Reads a head: `classifier.weight`, `weight`, `head.weight`, `fc.weight` or the like, with whatever prefix; the
    /// only layer with parameters in a `Sequential`; the task's own in a file of several; or that of a whole
    /// checkpoint.
    ///
    /// - Parameters:
    ///   - path: a file of safetensors or of `torch.save`.
    ///   - task: the task's name.
    ///   - base: the base that it reads the features of.
    /// - Throws: `ModelError` naming the tensors when there is no head, more than one, or one that is not linear;
    ///   `FileError`.
    static func linear(_ path: String, task: String, base: Checkpoint) throws -> (weight: Tensor, bias: Tensor) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw ModelError(path, systemReason(errno)) }
        guard status.st_mode & S_IFMT != S_IFDIR, TensorFiles.hasEnding(path) else {
            throw ModelError(path, "expected a file with a head: .safetensors or .bin")
        }
        let file = try TensorFiles.open(path)
        var parameters: [String: Tensor] = [:]
        for (name, key) in try names(file, task: task, base: base) {
            parameters[name] = try file.tensor(key)
            try parameters[name]?.checkFinite(key, path: path)
        }
        guard let head = try Head.linear(parameters, configuration: base.configuration, path: path) else {
            throw ModelError(path, "no classification head: expected \"classifier.weight\" \(found(file))")
        }
        return head
    }

    /// The tensors that are the head, by the names that they have in transformers' models.
    private static func names(_ file: any TensorFile, task: String, base: Checkpoint) throws -> [String: String] {
        if file.entry("\(task).weight") != nil, !roots.contains(task) {
            return ["classifier.weight": "\(task).weight", "classifier.bias": "\(task).bias"]
                .filter { file.entry($0.value) != nil }
        }
        try FileNames.check(file.entries.map(\.name), path: file.path)
        var heads: [String: [String: String]] = [:]
        var strangers: [String] = []
        for entry in file.entries where !entry.name.contains("original_module.") {
            let name = base.names.canonical(
                FileNames.bare(entry.name).replacing("modules_to_save.default.", with: "")
                    .replacing("modules_to_save.", with: ""))
            let first = String(name.prefix { $0 != "." })
            if name == "weight" || name == "bias" {
                heads["", default: [:]]["classifier.\(name)"] = entry.name
            } else if Int(first) != nil {
                heads["", default: [:]]["classifier.\(name)"] = entry.name
            } else if roots.contains(first), !name.contains(".lora_") {
                let isDeiT = first.hasSuffix("_classifier")
                let other = isDeiT ? name : "classifier\(name.dropFirst(first.count))"
                heads[isDeiT ? "cls_classifier" : first, default: [:]][other] = entry.name
            } else if !base.hasParameter(name), !base.mayHold(name), !name.contains(".lora_") {
                strangers.append(entry.name)
            }
        }
        // One layer is a head whatever its name, if there is nothing else in the file.
        if heads.isEmpty, file.entries.count == strangers.count {
            if let layer = onlyLayer(strangers), file.entry("\(layer).weight")?.shape.count == 2 {
                heads[layer] = Dictionary(
                    uniqueKeysWithValues: strangers.map { ("classifier.\($0.split(separator: ".").last ?? "")", $0) })
                strangers = []
            }
        }
        guard heads.count == 1, let head = heads.values.first else {
            let names = heads.keys.sorted().map { $0.isEmpty ? "weight" : "\($0).weight" }.joined(separator: ", ")
            throw ModelError(
                file.path,
                heads.isEmpty
                    ? "no classification head: expected \"classifier.weight\" \(found(file))"
                    : "more than one head: \(names); give a file with the one that is meant")
        }
        if let stranger = strangers.first {
            throw ModelError(file.path, "tensor \"\(stranger)\" is neither part of a linear head nor of the base")
        }
        let shapes = head.mapValues { file.entry($0)?.shape ?? [] }
        let linear = try HeadNames.linear(shapes, path: file.path)
        return Dictionary(uniqueKeysWithValues: head.map { (linear[$0.key] ?? $0.key, $0.value) })
    }

    /// The layer that all tensors of a file belong to, or nil when there are several.
    static func onlyLayer(_ names: some Sequence<String>) -> String? {
        let layers = Set(names.map { name in name.lastIndex(of: ".").map { String(name[..<$0]) } ?? "" })
        return layers.count == 1 ? layers.first : nil
    }

    private static func found(_ file: any TensorFile) -> String {
        let names = file.entries.prefix(4).map { "\"\($0.name)\"" }.joined(separator: ", ")
        return
            "(classes, features), found \(names.isEmpty ? "no tensors" : names)\(file.entries.count > 4 ? ", ..." : "")"
    }
}
