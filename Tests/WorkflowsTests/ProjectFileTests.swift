import Datasets
import TestSupport
import Testing
import VisionTransformers

@testable import Workflows

/// `ProjectFile` on files that are right and on files that are not.
@Suite struct ProjectFileTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func read(_ text: String, name: String = "p.json") throws -> ProjectFile {
        try folder.write(name, text)
        return try ProjectFile(contentsOf: folder.path(name))
    }

    private func refusal(_ text: String) throws -> String? {
        do { _ = try read(text) } catch let error as ModelError {
            #expect(error.path == folder.path("p.json"))
            #expect(error.remedy as? ProjectRemedy == .ignoreProject)
            return error.reason
        }
        return nil
    }

    @Test func pathsStartAtTheFolderOfTheFile() throws {
        let project = try read(
            """
            {"base": "models/base", "calibration": "drawn:40", "tasks": [
              {"name": "birds", "data": "/data/birds", "adapter": "a/birds", "head": "h.bin", "labels": "l.txt",
               "activation": "sigmoid", "calibration": ["one", "drawn", "./drawn"], "head_alone": "alone"},
              {"name": "cars"}
            ]}
            """, name: "deep/mergevit.json")
        let place = folder.path("deep")
        #expect(project.base == "\(place)/models/base" && project.calibration == ["drawn:40"])
        #expect(project.tasks.map(\.name) == ["birds", "cars"])
        let (birds, cars) = (project.tasks[0], project.tasks[1])
        #expect(birds.data == "/data/birds" && birds.adapter == "\(place)/a/birds" && birds.head == "\(place)/h.bin")
        #expect(birds.labels == "\(place)/l.txt" && birds.headAlone == "\(place)/alone")
        #expect(birds.activation == .sigmoid && birds.calibration == ["\(place)/one", "drawn", "\(place)/./drawn"])
        #expect(cars.data == nil && cars.adapter == nil && cars.calibration.isEmpty)
        #expect(try project.tasks(named: ["cars"]).map(\.name) == ["cars"])
        #expect(try project.tasks(named: ["cars", "birds"]).map(\.name) == ["birds", "cars"])
        #expect(throws: UnknownTask("bird", tasks: ["birds", "cars"], in: project.path)) {
            try project.tasks(named: ["bird"])
        }
    }

    @Test func theSamplesHaveOne() throws {
        let project = try ProjectFile(contentsOf: "\(Samples.folder)/mergevit.json")
        #expect(project.base == Samples.base && project.tasks.map(\.name) == Samples.tasks)
        for task in project.tasks {
            #expect(task.adapter == Samples.adapter(task.name) && task.headAlone == Samples.head(task.name))
            #expect(task.data == "\(Samples.folder)/labels-\(task.name).csv")
        }
    }

    @Test(arguments: [
        ("[]", "expected an object, found an array"),
        ("{\"base\": \"b\"}", "expected \"tasks\", an array of tasks"),
        ("{\"tasks\": {}}", "tasks: expected an array, found an object"),
        ("{\"tasks\": []}", "tasks: expected at least one task"),
        ("{\"base\": 1, \"tasks\": [{\"name\": \"a\"}]}", "base: expected a string, found a number"),
        ("{\"bass\": \"b\", \"tasks\": []}", "\"bass\" is not known (did you mean \"base\"?); expected base, tasks, "),
        ("{\"tasks\": [1]}", "tasks[0]: expected an object, found a number"),
        ("{\"tasks\": [{\"data\": \"d\"}]}", "tasks[0]: expected \"name\", the task's name"),
        ("{\"tasks\": [{\"name\": \"a/b\"}]}", "tasks[0]: task name \"a/b\": must not be empty"),
        ("{\"tasks\": [{\"name\": \"a\"}, {\"name\": \"a\"}]}", "tasks: \"a\" appears twice"),
        (
            "{\"tasks\": [{\"name\": \"a\", \"adaptor\": \"x\"}]}",
            "tasks[0]: \"adaptor\" is not known (did you mean \"adapter\"?); expected name, data, "
        ),
        ("{\"tasks\": [{\"name\": \"a\", \"x\": 1}]}", "tasks[0]: \"x\" is not known; expected name, data, adapter, "),
        ("{\"tasks\": [{\"name\": \"a\", \"data\": \"\"}]}", "task \"a\": data: expected a text, found an empty one"),
        ("{\"tasks\": [{\"name\": \"a\", \"data\": \"x\\u0000\"}]}", "task \"a\": data: expected a text"),
        (
            "{\"tasks\": [{\"name\": \"a\", \"activation\": \"relu\"}]}",
            "task \"a\": activation: expected one of softmax, sigmoid"
        ),
        (
            "{\"tasks\": [{\"name\": \"a\", \"calibration\": [[]]}]}",
            "task \"a\": calibration: expected a string, found an array"
        ),
        ("{\"tasks\": [{\"name\": \"a\"}], \"tasks\": []}", "duplicate key"),
        ("{", "expected"),
    ]) func mistakesAreNamed(_ text: String, _ message: String) throws {
        let reason = try #require(try refusal(text))
        #expect(reason.contains(message), "\(reason)")
    }
}
