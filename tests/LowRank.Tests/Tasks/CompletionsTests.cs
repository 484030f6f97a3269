using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Tasks;
using LowRank.Tests.Generation;
using LowRank.Tokenizers;

namespace LowRank.Tests.Tasks;

/// <summary>Completions of many prompts in a file.</summary>
public sealed class CompletionsTests : IDisposable
{
    private readonly TalkingModel talking = new TalkingModel().Save();
    private readonly TemporaryFolder folder = new();
    private readonly PretrainedModel model;
    private readonly Tokenizer tokenizer;
    private readonly RowSource rows;

    public CompletionsTests()
    {
        model = PretrainedModel.Open(talking.Path);
        tokenizer = Tokenizer.Load(talking.Path);
        File.WriteAllLines(folder["rows.jsonl"], Enumerable.Range(0, 5).Select(number =>
            $$"""{"prompt": "{{number}}:", "completion": "its own", "kind": {{number}}}"""));
        rows = RowSource.From([folder["rows.jsonl"]]);
    }

    private static CompletionOptions Options { get; } = new()
    {
        Count = 3, BatchSize = 2,
        Generation = new GenerationOptions { Temperature = 1, MaxNewTokens = 6, Seed = 5 },
        Rewards = ["regex: [aeiou]", "regex: ^..?$"], RewardWeights = [1, 2],
    };

    public void Dispose()
    {
        model.Dispose();
        talking.Dispose();
        folder.Dispose();
    }

    [Fact]
    public void Each_prompt_has_its_texts_with_their_scores()
    {
        JsonObject[] lines = Written("all.jsonl", Options);
        Assert.Equal(15, lines.Length);
        Assert.Equal(Enumerable.Range(0, 15).Select(i => i / 3), lines.Select(line => line["kind"]!.GetValue<int>()));
        Assert.All(lines, line =>
        {
            JsonObject scores = line["scores"]!.AsObject();
            Assert.Equal(scores["regex"]!.GetValue<double>() + 2 * scores["regex_2"]!.GetValue<double>(),
                line["score"]!.GetValue<double>());
            Assert.Contains(line["finish_reason"]!.GetValue<string>(), new[] { "stop", "length" });
            Assert.NotEqual("its own", line["completion"]!.GetValue<string>());
        });
        Assert.True(lines.Take(3).Select(line => line["completion"]!.GetValue<string>()).Distinct().Count() > 1);
        Assert.False(File.Exists(folder["all.jsonl.part"]));
        // Others at a time, the same texts.
        Written("one.jsonl", Options with { BatchSize = 5 });
        Assert.Equal(File.ReadAllText(folder["all.jsonl"]), File.ReadAllText(folder["one.jsonl"]));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_run_that_was_ended_continues_without_loss_or_duplicates(int batches)
    {
        Written("whole.jsonl", Options);
        using (var stop = new CancellationTokenSource())
        {
            int reports = 0;
            var progress = new Reported(done =>
            {
                if (reports++ == batches) stop.Cancel();
            });
            Assert.Throws<OperationCanceledException>(() => Completions.Write(
                model, tokenizer, rows, folder["again.jsonl"], Options, progress, stop.Token));
        }
        Assert.False(File.Exists(folder["again.jsonl"]));
        // as a kill amidst writing leaves it
        File.AppendAllText(folder["again.jsonl.part"], $"{2 * batches} - {{\"prompt\": \"0:\"}}\n{2 * batches} " +
            $"- {{\"pro");
        var seen = new List<int>();
        (int lines, _) = Completions.Write(
            model, tokenizer, rows, folder["again.jsonl"], Options, new Reported(seen.Add), default);
        Assert.Equal(2 * batches, seen[0]);
        Assert.Equal(15, lines);
        Assert.Equal(File.ReadAllText(folder["whole.jsonl"]), File.ReadAllText(folder["again.jsonl"]));
    }

    [Fact]
    public void A_file_that_was_begun_with_other_settings_is_not_continued()
    {
        File.WriteAllText(folder["other.jsonl.part"], "{\"n\":2}\n");
        Assert.Contains("was begun with other settings: {\"n\":2}",
            Assert.Throws<InputException>(() => Written("other.jsonl", Options)).Message, StringComparison.Ordinal);
        Assert.Equal("{\"n\":2}\n", File.ReadAllText(folder["other.jsonl.part"]));
    }

    [Fact]
    public void The_best_of_each_prompt_are_rows_to_train_on()
    {
        JsonObject[] all = Written("all.jsonl", Options), best = Written("best.jsonl", Options
            with { KeepsBest = true });
        Assert.Equal(5, best.Length);
        Assert.Equal(all.Chunk(3).Select(some => some.Max(line => line["score"]!.GetValue<double>())),
            best.Select(line => line["score"]!.GetValue<double>()));
        LoadedExamples examples = ExampleLoader.Load(RowSource.From([folder["best.jsonl"]]), tokenizer,
            new ExampleOptions());
        Assert.Equal(5, examples.Examples.Count);
    }

    [Fact]
    public void All_that_is_wrong_is_told_at_once()
    {
        string message = Assert.Throws<InputException>(() => Written("x.jsonl", new CompletionOptions
        {
            Count = 2, BatchSize = 0, Rewards = ["short"], RewardWeights = [1, 2],
        })).Message;
        foreach (string part in new[] { "at temperature 0", "batch size is 0", "a reward is \"short\"", "2 weights " +
            "for 1" })
            Assert.Contains(part, message, StringComparison.Ordinal);
        Assert.Equal(["the best completion is kept, and no reward says which it is"],
            new CompletionOptions { KeepsBest = true }.Problems());
    }

    private JsonObject[] Written(string name, CompletionOptions options)
    {
        Completions.Write(model, tokenizer, rows, folder[name], options);
        return [.. File.ReadAllLines(folder[name]).Select(line => JsonNode.Parse(line)!.AsObject())];
    }

    private sealed class Reported(Action<int> report) : IProgress<(int Done, int Prompts)>
    {
        public void Report((int Done, int Prompts) value) => report(value.Done);
    }
}
