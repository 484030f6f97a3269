using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.IO;
using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.EndToEndTests;

/// <summary>Tasks from a recipe to answers: train, eval, predict, merge, with a tiny BERT and words as its
/// vocabulary.</summary>
public sealed class TaskCommandTests
{
    private static readonly string[] Names = ["anna", "bob", "carla"], Cities = ["paris", "rome", "berlin"];

    [Fact]
    public void Texts_are_labelled_by_name()
    {
        using var folder = Base();
        Write(folder, "rows.jsonl",
            i => new { text = i % 2 == 0 ? $"{Names[i % 3]} is good ." : $"{Names[i % 3]} is bad .", label = i % 2 == 0
            ? "praise" : "blame" });
        Train(folder, "sequence_classification");
        JsonObject scores = Eval(folder);
        Assert.Equal("sequence_classification", scores["task"]!.GetValue<string>());
        Assert.Equal(1, scores["accuracy"]!.GetValue<double>());
        JsonObject[] answers = Predict(folder, "--adapter", folder["run/adapter"]);
        Assert.Equal(["praise", "blame"], answers[..2].Select(answer => answer["label"]!.GetValue<string>()));
        Assert.Equal(1, answers[0]["probabilities"]!.AsObject().Sum(label => label.Value!.GetValue<double>()), 1e-5);

        CommandLine.Run(
            "merge", "--model", folder["base"], "--adapter", folder["run/adapter"], "--output", folder["merged"])
            .Succeeded();
        JsonObject config = JsonNode.Parse(File.ReadAllText(folder["merged/config.json"]))!.AsObject();
        Assert.Equal("BertForSequenceClassification", config["architectures"]![0]!.GetValue<string>());
        Assert.Equal("praise", config["id2label"]!["1"]!.GetValue<string>());
        JsonObject[] merged = Predict(folder, "--model", folder["merged"]);
        for (int i = 0; i < answers.Length; i++)
            Assert.Equal(answers[i]["probability"]!.GetValue<double>(),
                merged[i]["probability"]!.GetValue<double>(), 1e-5);
    }

    [Fact]
    public void Rows_are_evaluated_and_answered_as_training_read_them()
    {
        using var folder = Base();
        string[] rows =
            [.. Enumerable.Range(0, 12)
            .Select(i => $"{(i % 2 == 0 ? "praise" : "blame")};{Names[i % 3]} is {(i % 2 == 0 ? "good" : "bad")} .")];
        File.WriteAllLines(folder["rows.csv"], rows);
        string recipe = Recipe(folder, "sequence_classification", "", "");
        File.WriteAllText(
            recipe, File.ReadAllText(recipe)
            .Replace("rows.jsonl", "rows.csv\n  csv: {header: false, separator: ;}\n  columns: {text: 1, label: 0}",
            StringComparison.Ordinal));
        CommandLine.Run("train", recipe).Succeeded();
        string[] model = ["--model", folder["base"], "--adapter", folder["run/adapter"]];
        CommandResult eval = CommandLine.Run(["eval", .. model, "--data", folder["rows.csv"]]).Succeeded();
        Assert.Contains("accuracy 1.0000", eval.Output, StringComparison.Ordinal);
        Assert.Contains("lowrank_data.json says: columns text=1, label=0; tables parted by ;; tables without a header",
            eval.Error, StringComparison.Ordinal);
        CommandResult answers =
            CommandLine.RunWithInput("?;bob is good .\n?;bob is bad .\n", ["predict", .. model, "--data", "-"])
            .Succeeded();
        Assert.Equal(["praise", "blame"], answers.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => JsonNode.Parse(line)!["label"]!.GetValue<string>()));
        // Rows of other columns: those of a label are not needed, those of the text are named.
        answers = CommandLine.RunWithInput(
            """{"review": "bob is bad ."}""", ["predict", .. model, "--data", "-", "--columns", "text=review"])
            .Succeeded();
        Assert.Contains("\"label\":\"blame\"", answers.Output, StringComparison.Ordinal);
        File.WriteAllText(
            folder["other.yaml"],
            "model: base\ntask: sequence_classification\ndata: {train: x, columns: {text: words, label: " +
            "verdict}}\noutput: other\n");
        eval = CommandLine.RunWithInput(
            "words,verdict\nbob is good .,praise\n",
            ["eval", .. model, "--data", "-", "--recipe", folder["other.yaml"]]).Succeeded();
        Assert.Contains("accuracy 1.0000", eval.Output, StringComparison.Ordinal);
        CommandLine.Run(["merge", .. model, "--output", folder["merged"]]).Succeeded();
        Assert.Equal(File.ReadAllText(folder["run/adapter/lowrank_data.json"]),
            File.ReadAllText(folder["merged/lowrank_data.json"]));
    }

    [Fact]
    public void Several_labels_and_numbers_are_told_by_the_data()
    {
        using var folder = Base();
        Write(folder, "rows.jsonl",
            i => new { text = $"{Names[i % 3]} is {(i % 2 == 0 ? "good" : "bad")} .", labels = i % 2 == 0
            ? new[] { "a", "b" } : ["b"] });
        Train(folder, "sequence_classification");
        Assert.Equal(1, Eval(folder)["subset_accuracy"]!.GetValue<double>());
        Assert.Equal(["a", "b"], Predict(folder, "--adapter", folder["run/adapter"])[0]["labels"]!.AsArray()
            .Select(label => label!.GetValue<string>()));

        Write(folder, "rows.jsonl",
            i => new { text = $"{Names[i % 3]} is {(i % 2 == 0 ? "good" : "bad")} .", label = i % 2 == 0
            ? 1.5 : -0.5 });
        Train(folder, "sequence_classification");
        Assert.InRange(Eval(folder)["pearson"]!.GetValue<double>(), 0.95, 1);
        Assert.InRange(Predict(folder, "--adapter", folder["run/adapter"])[0]["score"]!.GetValue<double>(), 0.5, 2.5);
    }

    [Fact]
    public void Entities_are_found_in_words_and_in_texts()
    {
        using var folder = Base();
        string Text(int i) => $"{Names[i % 3]} lives in {Cities[i / 3 % 3]} .";
        Write(folder, "rows.jsonl", i => i % 2 == 0
            ? new { tokens = Text(i).Split(' '), tags = new[] { "B-PER", "O", "O", "B-LOC", "O" } }
            : (object)new { text = Text(i),
                entities = new[] { Entity(Text(i), Names[i % 3], "PER"), Entity(Text(i), Cities[i / 3 % 3], "LOC") } });
        Train(folder, "token_classification");
        Assert.Equal(1, Eval(folder)["f1"]!.GetValue<double>());
        JsonObject[] answers = Predict(folder, "--adapter", folder["run/adapter"]);
        Assert.Equal(["B-PER", "O", "O", "B-LOC", "O"], answers[0]["tags"]!.AsArray()
            .Select(tag => tag!.GetValue<string>()));
        JsonNode found = answers[1]["entities"]![0]!;
        Assert.Equal(("PER", Names[1], 0, Names[1].Length),
            (found["label"]!.GetValue<string>(), found["text"]!.GetValue<string>(), found["start"]!.GetValue<int>(),
            found["end"]!.GetValue<int>()));
    }

    [Fact]
    public void Answers_are_found_in_windows_of_a_long_context()
    {
        using var folder = Base();
        Write(folder, "rows.jsonl", i =>
        {
            string city = Cities[i % 3], context = string.Concat(Enumerable.Repeat("bob is good . ", i % 4))
                + $"anna lives in {city} .";
            return new { question = "where lives anna", context,
                answers = new { text = new[] { city },
                answer_start = new[] { context.IndexOf(city, StringComparison.Ordinal) } } };
        });
        Train(folder, "question_answering", "task_options: {stride: 4}\n", "max_length: 18");
        JsonObject scores = Eval(folder);
        Assert.Equal(1, scores["exact_match"]!.GetValue<double>());
        Assert.True(scores["rows"]!.GetValue<int>() > 36, "contexts longer than a window have several");
        Assert.Equal(Cities, Predict(folder, "--adapter", folder["run/adapter"])[..3]
            .Select(answer => answer["answer"]!.GetValue<string>()));
    }

    [Fact]
    public void Masked_words_and_embeddings_are_learned()
    {
        using var folder = Base();
        Write(folder, "rows.jsonl", i => new { text = $"anna lives in {Cities[i % 3]} ." });
        Train(folder, "masked_lm");
        double before = Eval(folder)["loss"]!.GetValue<double>();
        Assert.Equal(before, Eval(folder)["loss"]!.GetValue<double>()); // the same words are masked each time
        File.WriteAllText(folder["rows.jsonl"], """{"text": "anna [MASK] in rome ."}""");
        Assert.Equal("lives",
            Predict(folder, "--adapter", folder["run/adapter"])[0]["masks"]![0]![0]!["token"]!.GetValue<string>());

        Write(folder, "rows.jsonl",
            i => new { text = $"{Names[i % 3]} is good", positive = $"{Cities[i % 3]} is good" }, 3);
        Train(folder, "embedding");
        Assert.Equal(1, Eval(folder)["recall_at_1"]!.GetValue<double>());
        float[] vector =
            [.. Predict(folder, "--adapter", folder["run/adapter"])[0]["embedding"]!.AsArray()
            .Select(value => value!.GetValue<float>())];
        Assert.Equal(64, vector.Length);
        Assert.Equal(1, vector.Sum(value => value * value), 1e-4);
    }

    [Fact]
    public void What_does_not_fit_the_task_is_refused_before_any_work()
    {
        using var folder = Base();
        Write(folder, "rows.jsonl", _ => new { text = "bob is good", label = "a" });
        CommandResult wrong = CommandLine.Run("train", Recipe(folder, "causal_lm", "", ""));
        Assert.Equal(2, wrong.ExitCode);
        Assert.Contains("which a bert model", wrong.Error, StringComparison.Ordinal);
        wrong = CommandLine.Run("train", Recipe(folder, "sequence_classification", "task_options: {stride: 3}\n", ""));
        Assert.Equal(2, wrong.ExitCode);
        Assert.Contains(
            "task_options.stride has no effect with task sequence_classification", wrong.Error,
            StringComparison.Ordinal);
        wrong = CommandLine.Run(
            "predict", "--model", folder["base"], "--data", folder["rows.jsonl"], "--task", "sequence_classification");
        Assert.Equal(2, wrong.ExitCode);
        Assert.Contains(
            "was made for embedding, not for sequence_classification", wrong.Error, StringComparison.Ordinal);
    }

    private static object Entity(string text, string name, string label) =>
        new { start = text.IndexOf(name, StringComparison.Ordinal), end = text.IndexOf(name, StringComparison.Ordinal)
            + name.Length, label };

    internal static void Write(TemporaryFolder folder, string name, Func<int, object> row, int count = 36) =>
        File.WriteAllLines(folder[name], Enumerable.Range(0, count).Select(i => JsonSerializer.Serialize(row(i))));

    private static string Recipe(TemporaryFolder folder, string task, string options, string training)
    {
        string path = folder["recipe.yaml"];
        File.WriteAllText(
            path, $"model: base\ntask: {task}\n{options}data:\n  train: rows.jsonl\nadapter:\n  target_modules: " +
            $"all-linear\ntraining:\n  steps: 90\n  learning_rate: 0.005\n  batch_size: 6\n  {training}\noutput: " +
            "run\n");
        return path;
    }

    internal static void Train(TemporaryFolder folder, string task, string options = "", string training = "") =>
        CommandLine.Run("train", Recipe(folder, task, options, training)).Succeeded();

    private static JsonObject Eval(TemporaryFolder folder) =>
        JsonNode.Parse(CommandLine.Run("eval", "--model", folder["base"], "--adapter", folder["run/adapter"],
        "--data", folder["rows.jsonl"], "--json").Succeeded().Output)!.AsObject();

    internal static JsonObject[] Predict(TemporaryFolder folder, params string[] model)
    {
        string[] whole = model[0] == "--model" ? model : ["--model", folder["base"], .. model];
        CommandLine.Run(["predict", .. whole, "--data", folder["rows.jsonl"], "--output", folder["answers.jsonl"]])
            .Succeeded();
        JsonObject[] answers =
            [.. File.ReadLines(folder["answers.jsonl"]).Select(line => JsonNode.Parse(line)!.AsObject())];
        Assert.Equal(File.ReadLines(folder["rows.jsonl"]).Count(), answers.Length);
        return answers;
    }

    // The golden BERT without its head, and a vocabulary of the words used here.
    internal static TemporaryFolder Base()
    {
        var folder = new TemporaryFolder();
        string golden =
            Path.Combine(CommandLine.Repository, "tests", "LowRank.ParityTests", "Fixtures", "goldens", "bert");
        using var scope = NewDisposeScope();
        using Checkpoint checkpoint = Checkpoint.Open(golden);
        ModelFolder.Write(
            golden, folder["base"],
            [.. checkpoint.Entries.Keys.Where(name => !name.StartsWith("classifier", StringComparison.Ordinal))
            .Select(name => KeyValuePair.Create(name, checkpoint.Map(name)))],
            config =>
            {
                config["architectures"] = new JsonArray("BertModel");
                config.Remove("id2label");
                config.Remove("label2id");
            });
        string[] words =
            ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", .. Names, .. Cities, "is", "good", "bad", "lives", "in",
            "where", "."];
        File.WriteAllLines(
            folder["base/vocab.txt"],
            words.Concat(Enumerable.Range(words.Length, 256 - words.Length).Select(i => $"[unused{i}]")));
        return folder;
    }
}
