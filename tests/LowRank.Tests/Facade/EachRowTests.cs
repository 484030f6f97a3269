using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Recipes;
using LowRank.Recipes.Steps;
using Microsoft.Extensions.Logging;

namespace LowRank.Tests.Facade;

/// <summary>Answers and scores are one per row, and what is asked of a call without effect on it is refused.</summary>
public sealed class EachRowTests : IDisposable
{
    private readonly LoadedModel tiny = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => tiny.Dispose();

    private static async Task Refused(Func<Task> call, params string[] expected)
    {
        InputException refused = await Assert.ThrowsAsync<InputException>(call);
        foreach (string part in expected) Assert.Contains(part, refused.Message);
    }

    [Fact]
    public async Task Equal_rows_have_equal_results_each()
    {
        await using LanguageModel model = await tiny.Open();
        Dataset rows = Dataset.FromTexts("a b c d", "d e f", "a b c d");
        IReadOnlyList<TextScore> scores = await model.ScoreAsync(rows, null, Token);
        Assert.Equal(3, scores.Count);
        Assert.Equal(scores[0].LogLikelihood, scores[2].LogLikelihood, 1e-4);
        File.WriteAllLines(tiny["rows.jsonl"], ["""{"prompt": "1:"}""", """{"prompt": "1:"}"""]);
        IReadOnlyList<Prediction> answers =
            await model.PredictAsync(tiny["rows.jsonl"], new() { MaxNewTokens = 3 }, Token);
        Assert.Equal(2, answers.Count);
        Assert.Equal(answers[0].Answer, answers[1].Answer);
    }

    [Fact]
    public async Task Leaving_rows_out_is_refused_where_each_gets_a_result()
    {
        await using LanguageModel model = await tiny.Open();
        Dataset rows = Dataset.FromTexts("a b", "a b") with { Deduplicate = true, OnBadRow = BadRows.Skip };
        foreach (Func<Task> call in new Func<Task>[] {
            () => model.ScoreAsync(rows, null, Token), () => model.PredictAsync(rows, null, Token) })
            await Refused(call, "Dataset.Deduplicate is true", "Dataset.OnBadRow is Skip");
        Assert.True((await model.EvaluateAsync(rows, null, Token)).Loss > 0);
    }

    [Fact]
    public async Task Rows_that_are_too_long_to_score_are_all_named()
    {
        await using LanguageModel model = await tiny.Open();
        Dataset rows = Dataset.FromTexts("a b c d", new string('d', 600), "d e f", new string('e', 700));
        await Refused(() => model.ScoreAsync(rows, null, Token),
            "2 rows are longer than 512 tokens", "rows, row 2 (60", "rows, row 4 (70");
        await Refused(() => model.ScoreAsync(Dataset.FromTexts("d e f d e f"), new() { MaxLength = 3 }, Token),
            "1 row is longer than 3 tokens");
    }

    [Fact]
    public async Task What_has_no_effect_on_a_call_is_refused()
    {
        await using LanguageModel model = await tiny.Open();
        Dataset rows = LoadedModel.Data("yes");
        await Refused(() => model.PredictAsync(rows, new() { Prompt = "query" }, Token),
            "PredictionOptions.Prompt has no effect");
        await Refused(() => model.ScoreAsync(rows, new() { Prompt = "query", MaxNewTokens = 3 }, Token),
            "PredictionOptions.Prompt has no effect", "PredictionOptions.MaxNewTokens has no effect");
        await Refused(() => model.EvaluateAsync(rows, new() { MaxNewTokens = 3 }, Token),
            "PredictionOptions.MaxNewTokens has no effect");
        await Refused(() => model.EmbedAsync(["a"], new() { MaxNewTokens = 3 }, Token),
            "PredictionOptions.MaxNewTokens has no effect");
        await Refused(
            () => model.EvaluateAsync(
                rows with { Text = PlainText.Lines, Csv = new() }, new() { BatchSize = 0 }, Token),
            "Dataset.Text has no effect", "Dataset.Csv has no effect", "PredictionOptions.BatchSize is 0");
    }

    [Fact]
    public async Task A_length_beyond_the_models_positions_is_said_to_be_lowered()
    {
        var heard = new List<string>();
        await using LanguageModel model = await tiny.Open(LoadedModel.Options with { Logger = new Messages(heard) });
        await model.EvaluateAsync(LoadedModel.Data("yes"), new() { MaxLength = 9999 }, Token);
        Assert.Contains(heard, said => said.Contains("PredictionOptions.MaxLength 9999 is lowered to 512"));
    }

    [Fact]
    public async Task Rows_of_a_program_are_not_enumerated_by_the_thread_that_calls()
    {
        await using LanguageModel model = await tiny.Open();
        int caller = 0;
        var enumerating = new HashSet<int>();
        IEnumerable<string> Texts()
        {
            enumerating.Add(Environment.CurrentManagedThreadId);
            yield return "a b c";
        }
        Task? calls = null;
        var thread = new Thread(() =>
        {
            caller = Environment.CurrentManagedThreadId;
            calls = Task.WhenAll(model.EvaluateAsync(Dataset.From(Texts()), null, Token),
                model.AdaptAsync(Dataset.From(Texts()), LoadedModel.Lora, LoadedModel.Training, null, Token));
        });
        thread.Start();
        thread.Join();
        await calls!;
        Assert.NotEmpty(enumerating);
        Assert.DoesNotContain(caller, enumerating);
    }

    [Fact]
    public async Task Reading_rows_can_be_cancelled()
    {
        using var cancel = new CancellationTokenSource();
        IEnumerable<string> Endless()
        {
            for (int row = 0; ; row++)
            {
                if (row == 3) cancel.Cancel();
                yield return "a b c";
            }
        }
        await using LanguageModel model = await tiny.Open();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => model.AdaptAsync(Dataset.From(Endless()), null, null, null, cancel.Token));
        using var before = new CancellationTokenSource();
        File.WriteAllText(tiny["rows.jsonl"], """{"text": "a b c"}""" + "\n");
        var recipe = Recipe.Parse(
            $"model: {tiny.Path}\ndata: {{train: rows.jsonl, cache: false}}\noutput: o\n", tiny["."]);
        Assert.ThrowsAny<OperationCanceledException>(() => RecipeRun.Prepare(recipe, null, null, (_, _, _, _) =>
        {
            before.Cancel(); // as the base is opened, before rows are read
            return null;
        }, before.Token));
        RowSource source = RowSource.From([tiny["rows.jsonl"]]).With(before.Token);
        Assert.ThrowsAny<OperationCanceledException>(() => source.ReadAll(foreign: false));
    }

    private sealed class Messages(ICollection<string> heard) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel level, EventId id, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => heard.Add(formatter(state, exception));
    }
}
