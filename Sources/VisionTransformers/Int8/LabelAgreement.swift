import Files

/// How many labels of a faster model are the same as in f32 with all tokens, on the same images.
///
/// The labels of a head with a sigmoid are the classes whose probability is at least a half. For a head without an
/// activation R² of the values, at least 0, takes the place of the share.
package struct LabelAgreement: Sendable, Equatable {
    /// The mean share that int8 needs to be chosen by default, unless another was asked for.
    package static let requiredShare = 0.99

    /// The agreement for one task.
    package struct OfTask: Sendable, Equatable {
        /// The task.
        package let task: String
        /// The share of images with the same labels, or R² of the values.
        package let share: Double
    }

    /// How many images were compared.
    package let images: Int
    /// The agreement for each task, in the order of the heads.
    package let tasks: [OfTask]

    /// The mean over the tasks.
    package var mean: Double { tasks.reduce(0) { $0 + $1.share } / Double(max(tasks.count, 1)) }

    /// Whether it is enough for int8 to be chosen by default.
    package var isSufficient: Bool { !tasks.isEmpty && mean >= Self.requiredShare }

    /// The agreement for some tasks only.
    package func of(_ names: [String]) -> LabelAgreement {
        LabelAgreement(images: images, tasks: tasks.filter { names.contains($0.task) })
    }

    init(images: Int, tasks: [OfTask]) {
        (self.images, self.tasks) = (images, tasks)
    }

    /// The agreement as JSON.
    var json: JSON {
        let shares = tasks.reduce(into: JSONObject()) { $0[$1.task] = .double($1.share) }
        return .object(["images": .int(images), "same_labels": .object(shares)])
    }

    /// The agreement as text, for the metadata of a file.
    var text: String { json.serialized(indented: false) }

    /// Reads what `text` gives; nil when the text is something else.
    init?(text: String) {
        guard let json = try? JSON(parsing: Array(text.utf8)) else { return nil }
        self.init(json)
    }

    /// Reads what `json` gives; nil when it is something else.
    init?(_ json: JSON) {
        guard let object = json.objectValue, let images = object["images"]?.intValue,
            let shares = object["same_labels"]?.objectValue
        else { return nil }
        self.images = images
        tasks = shares.keys.map { OfTask(task: $0, share: shares[$0]?.doubleValue ?? 0) }
    }
}
