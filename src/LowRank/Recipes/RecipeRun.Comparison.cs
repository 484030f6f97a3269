using System.Text.Json;
using LowRank.Data;
using LowRank.Generation;
using LowRank.Tasks;
using LowRank.Training;

namespace LowRank.Recipes;

// The model before and after, on the comparison's rows.
public sealed partial class RecipeRun
{
    private static readonly JsonSerializerOptions ReadableJson = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private TextGenerator? generator;

    private const int GenerationBatch = 50; // prompts generated together when facts are counted

    /// <summary>How the model does now on the comparison's rows; null when the recipe asks for no comparison.</summary>
    /// <exception cref="NonFiniteException">It gives no finite numbers on them.</exception>
    public ComparisonSide? Measure()
    {
        if (Recipe.Comparison is not { } comparison) return null;
        double loss = Evaluation.RunFinite(Task, ComparisonExamples, Recipe.Training.EvalBatchSize, 0).Loss;
        List<Sample> asked = [.. Prompted().Take(Math.Max(comparison.Facts, comparison.Generations))];
        IReadOnlyList<string> texts = Generate([.. asked.Select(row => row.Text("prompt")!)], comparison.MaxNewTokens);
        int stated = 0, facts = 0;
        for (int i = 0; i < Math.Min(asked.Count, comparison.Facts); i++)
        {
            IReadOnlyList<string> expected = asked[i].Texts("facts");
            stated += FactCheck.CountStated(texts[i], expected);
            facts += expected.Count;
        }
        var side = new ComparisonSide(loss, stated, facts, [.. texts.Take(comparison.Generations)]);
        if (comparison.References == 0 || Task is not IGeneratingTask generating) return side;
        GeneratedTexts written =
            GeneratedTexts.Of(
                generating, [.. PromptedRows()], GenerationBatch, comparison.MaxNewTokens, comparison.References);
        return side with { Metrics = written.Metrics() };
    }

    /// <summary>How the model did before the first step. A resumed run takes what was measured when it began, where the
    /// comparison is the same.</summary>
    /// <param name="resume">Whether the run goes on from a checkpoint.</param>
    /// <param name="measure">Measures, where that is needed; null is <see cref="Measure"/>.</param>
    /// <returns>Null when the recipe asks for no comparison.</returns>
    public ComparisonSide? MeasureBefore(bool resume, Func<ComparisonSide?>? measure = null)
    {
        if (Recipe.Comparison is null) return null;
        return before = (resume ? KnownBefore() : null) ?? (measure ?? Measure)();
    }

    private const string BeforeFile = "comparison.before.json";
    private ComparisonSide? before;

    // What a measurement depends on besides the model: the rows, and what is asked of them.
    private string Compared =>
        $"{JsonSerializer.Serialize(Recipe.Comparison! with { Data = [] }, ReadableJson)} " +
        $"{ComparisonExamples.Count} {ExampleFingerprint.Of(ComparisonExamples)}";

    private void KeepBefore()
    {
        if (before is not null)
            WriteKept(BeforeFile, JsonSerializer.Serialize(new KeptSide(Compared, before), ReadableJson));
    }

    private ComparisonSide? KnownBefore()
    {
        string path = Path.Combine(Recipe.Output, BeforeFile);
        try
        {
            return File.Exists(path) && JsonSerializer.Deserialize<KeptSide>(File.ReadAllText(path), ReadableJson)
                is { Side: { Texts: not null, Metrics: not null } side } kept && kept.Compared == Compared
                ? side : null;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            System.Diagnostics.Trace.TraceWarning(e.Message); // it is measured again
            return null;
        }
    }

    private sealed record KeptSide(string Compared, ComparisonSide Side);

    /// <summary>Puts two measurements side by side with the prompts and the data's own completions, and writes them to
    /// <c>comparison.json</c> in the output folder.</summary>
    public Comparison Compare(ComparisonSide before, ComparisonSide after)
    {
        List<Sample> shown = [.. Prompted().Take(Recipe.Comparison!.Generations)];
        var comparison =
            new Comparison(
                before, after, [.. shown.Select(row => row.Text("prompt")!)],
                [.. shown.Select(row => row.Text("completion") ?? "")]);
        WriteKept("comparison.json", JsonSerializer.Serialize(comparison, ReadableJson));
        return comparison;
    }

    // With comparison.every_evaluation the observer hears what the model writes, too.
    private ITrainingObserver Shown(ITrainingObserver observer)
    {
        if (Recipe.Comparison is not { EveryEvaluation: true } comparison) return observer;
        string[] prompts = [.. Prompted().Take(comparison.Generations).Select(row => row.Text("prompt")!)];
        return new GeneratingObserver(
            observer, () => Evaluation.Run(Task, Validation, Recipe.Training.EvalBatchSize, 0),
            () => [.. prompts.Zip(
                Generate(prompts, comparison.MaxNewTokens), (prompt, text) => new GeneratedText(prompt, text))]);
    }

    private IReadOnlyList<string> Generate(IReadOnlyList<string> prompts, int maxNewTokens)
    {
        if (prompts.Count == 0) return [];
        var options = new GenerationOptions { MaxNewTokens = maxNewTokens, StopTokenIds = StopTokens() };
        generator ??= new TextGenerator(Model.Decoder);
        return [.. prompts.Chunk(GenerationBatch).SelectMany(batch =>
            generator.Generate([.. batch.Select(prompt => PromptEncoding.Prompt(Tokenizer!, prompt))], options)
                .Select(ids => Tokenizer!.Decode(ids, skipSpecialTokens: true).Trim()))];
    }

    private IReadOnlyList<int> StopTokens() =>
        [.. Model.Generation.EosTokenIds.Concat(Tokenizer?.EosTokenId is { } end ? [end] : []).Distinct()];

    private IEnumerable<Sample> PromptedRows() => ComparisonRows.Where(row => row.Text("prompt") is not null);

    // Several rows may have the same prompt, each with another completion.
    private IEnumerable<Sample> Prompted() => PromptedRows().DistinctBy(row => row.Text("prompt"));
}
