/// A part of a data set, as the name of a folder or a cell of a table says.
package enum DataSplit: String, Sendable, CaseIterable {
    /// The images to learn from.
    case training
    /// The images by which choices are made, such as the best epoch.
    case validation
    /// The images on which results are measured, and which are used for nothing else.
    case test

    /// The usual names, in lower case and without separators.
    private static let names: [String: DataSplit] = [
        "train": .training, "training": .training, "trn": .training,
        "val": .validation, "vali": .validation, "valid": .validation, "validate": .validation,
        "validation": .validation, "dev": .validation, "development": .validation, "eval": .validation,
        "evaluate": .validation, "evaluation": .validation,
        "test": .test, "tests": .test, "testing": .test, "tst": .test, "holdout": .test, "heldout": .test,
    ]

    /// The name of the split's folder in messages.
    var usualName: String {
        switch self {
        case .training: "train"
        case .validation: "val"
        case .test: "test"
        }
    }

    /// Words beside a split's name that change nothing: "train_set", "test images".
    private static let fillers: Set<String> = [
        "set", "sets", "split", "subset", "data", "dataset", "image", "images", "img", "imgs", "picture", "pictures",
        "photo", "photos", "sample", "samples", "example", "examples", "folder", "dir",
    ]

    /// The split of a folder's name: a usual name in any case, with or without numbers and words such as "set" or
    /// "images" ("Training Set", "val2017"). Nil for any other name.
    package init?(name: String) {
        let words = DataSplit.words(of: name).filter { !DataSplit.fillers.contains($0) }
        guard let split = DataSplit.names[words.joined()] ?? DataSplit.compound(words.joined()) else { return nil }
        self = split
    }

    /// Whether a word of the name is that of a split: "seg_train", "flowers-test".
    static func isNamed(in name: String) -> Bool {
        if DataSplit(name: name) != nil { return true }
        let words = words(of: name)
        return words.contains { names[$0] != nil || compound($0) != nil }
            || zip(words, words.dropFirst()).contains { names[$0 + $1] != nil }
    }

    /// The split of a word such as "trainset".
    private static func compound(_ word: String) -> DataSplit? {
        for filler in fillers where word.hasSuffix(filler) {
            if let split = names[String(word.dropLast(filler.count))] { return split }
        }
        return nil
    }

    /// The words of a name in lower case: runs of letters, split where a capital follows a small letter.
    private static func words(of name: String) -> [String] {
        var words: [String] = []
        var (word, isAfterSmall) = ("", false)
        for character in name {
            if !character.isLetter || (character.isUppercase && isAfterSmall) {
                if !word.isEmpty { words.append(word) }
                word = ""
            }
            if character.isLetter { word += character.lowercased() }
            isAfterSmall = character.isLowercase
        }
        return word.isEmpty ? words : words + [word]
    }
}
