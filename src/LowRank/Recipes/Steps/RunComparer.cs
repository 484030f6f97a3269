using System.Text.Encodings.Web;
using System.Text.Json;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Tasks;
using LowRank.Training;

namespace LowRank.Recipes.Steps;

/// <summary>Measures a run's model on the comparison's rows, before and after training.</summary>
/// <param name="parts">The run.</param>
internal sealed class RunComparer(RunParts parts)
{
    private const string BeforeFile = "comparison.before.json";
    private const int GenerationBatch = 50; // prompts generated together
    private const int MostTogether = 200;   // of a small model: as many as gain anything
    private const long CacheBytes = 128L << 20; // keys and values of more prompts than GenerationBatch

    private static readonly JsonSerializerOptions ReadableJson = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly ComparisonSection? comparison = parts.Recipe.Comparison;
    private readonly RunData data = parts.Data;
    private TextGenerator? generator;
    private ComparisonSide? before;

    /// <summary>Notes on the generated texts so far, one sentence each.</summary>
    public IReadOnlyList<Words> Notes =>
        [.. (generator?.Notes ?? []).Select(Words.Plain), .. (data.Task as IGeneratingTask)?.GenerationNotes ?? []];

    /// <inheritdoc cref="RecipeRun.Measure"/>
    public ComparisonSide? Measure(IProgress<(int Done, int Rows)>? progress)
    {
        if (comparison is null) return null;
        List<Row> asked = [.. Asked];
        var measured = new MeasuredRows(
            progress, Evaluation.Predicting(data.ComparisonExamples).Count() + asked.Count
            + (data.Task is IGeneratingTask ? data.Prompts.Take(comparison.References).Count() : 0),
            comparison.MaxNewTokens);
        Adapter? resting = parts.Attached.Adapter is { IsAttached: true, ChangesNothing: true } adapter ? adapter
            : null;
        resting?.Detach(); // a third of the time, for nothing
        try
        {
            return Measure(asked, measured);
        }
        finally
        {
            resting?.Attach();
        }
    }

    private ComparisonSide Measure(List<Row> asked, MeasuredRows measured)
    {
        EvaluationResult held = Evaluation.RunFinite(
            data.Task, data.ComparisonExamples, parts.Recipe.Training.EvalBatchSize, 0, measured.Add);
        IReadOnlyList<string> texts = Generate([.. asked.Select(row => row.Text("prompt")!)], measured);
        int stated = 0, facts = 0;
        for (int i = 0; i < Math.Min(asked.Count, comparison!.Facts); i++)
        {
            IReadOnlyList<string> expected = asked[i].Texts("facts");
            stated += FactCheck.CountStated(texts[i], expected);
            facts += expected.Count;
        }
        var side = new ComparisonSide(held.Loss, stated, facts, [.. texts.Take(comparison.Generations)])
        {
            Metrics = held.Metrics.Where(metric => metric.Value is not null)
                .ToDictionary(metric => metric.Key, metric => metric.Value!.Value),
        };
        if (comparison.References == 0 || data.Task is not IGeneratingTask generating) return side;
        GeneratedTexts written = GeneratedTexts.Create(
            generating, [.. data.PromptedRows], GenerationBatch, comparison.MaxNewTokens, comparison.References,
            () => measured.Add(1));
        return side with
        {
            Metrics = side.Metrics.Concat(written.Metrics()).ToDictionary(metric => metric.Key, metric => metric.Value),
        };
    }

    /// <inheritdoc cref="RecipeRun.MeasureBefore"/>
    public ComparisonSide? MeasureBefore(bool resume, Func<ComparisonSide?> measure) =>
        comparison is null ? null : before = (resume ? KnownBefore() : null) ?? measure();

    /// <inheritdoc cref="RecipeRun.Compare"/>
    public Comparison Compare(ComparisonSide first, ComparisonSide last)
    {
        List<Row> shown = [.. data.Prompts.Take(comparison!.Generations)];
        var compared = new Comparison(first, last, [.. shown.Select(row => row.Text("prompt")!)],
            [.. shown.Select(row => Row.AsText(row.Fields["completion"] ?? row.Fields["chosen"]) ?? "")]);
        OutputFolder.Write(
            parts.Recipe.Output, "comparison.json", JsonSerializer.Serialize(compared, ReadableJson), waits: null);
        return compared;
    }

    /// <summary>Saves the measurement before the first step, for a run that continues this one.</summary>
    public void KeepBefore(StorageWait waits)
    {
        if (before is not null)
            OutputFolder.Write(parts.Recipe.Output, BeforeFile,
                JsonSerializer.Serialize(new KeptSide(Compared, before), ReadableJson), waits);
    }

    /// <summary>With comparison.every_evaluation, an observer that also receives the generated texts.</summary>
    public ITrainingObserver Shown(ITrainingObserver observer)
    {
        if (comparison is not { EveryEvaluation: true }) return observer;
        string[] prompts = [.. data.Prompts.Take(comparison.Generations).Select(row => row.Text("prompt")!)];
        return new GeneratingObserver(
            observer, () => Evaluation.Run(data.Task, data.Validation, parts.Recipe.Training.EvalBatchSize, 0),
            () => [.. prompts.Zip(Generate(prompts), (prompt, text) => new GeneratedText(prompt, text))]);
    }

    /// <summary>Generates a first batch of texts, so that its memory is included in the run's peak.</summary>
    public void GenerateFirst()
    {
        if (comparison is not null)
            Generate([.. Asked.Take(MostTogether).Select(row => row.Text("prompt")!)]);
    }

    private IEnumerable<Row> Asked => data.Prompts.Take(Math.Max(comparison!.Facts, comparison.Generations));

    private IReadOnlyList<string> Generate(IReadOnlyList<string> prompts, MeasuredRows? measured = null)
    {
        if (prompts.Count == 0) return [];
        var options = new GenerationOptions
        {
            MaxNewTokens = comparison!.MaxNewTokens,
            StopTokenIds = parts.StopTokens,
        };
        generator ??= new TextGenerator(parts.Model.Decoder);
        int[][] encoded = [.. prompts.Select(prompt => PromptEncoding.Prompt(parts.Tokenizer!, prompt))];
        List<string> texts = [];
        foreach (int[][] batch in encoded.Chunk(Together(encoded)))
        {
            texts.AddRange(generator.Generate(batch, options, (_, _) => measured?.AddToken())
                .Select(ids => parts.Tokenizer!.Decode(ids, skipSpecialTokens: true).Trim()));
            measured?.Add(batch.Length);
        }
        return texts;
    }

    // The calls of a step cost a small model more than its numbers do, and more rows share them.
    private int Together(int[][] prompts)
    {
        DecoderShape shape = parts.Model.Decoder.Shape;
        long position = 2L * sizeof(float) * shape.Layers * shape.KeyValueHeads * shape.KeyDimension;
        long row = position * (prompts.Max(prompt => prompt.Length) + comparison!.MaxNewTokens);
        long most = Math.Clamp(CacheBytes / row, GenerationBatch, MostTogether);
        long batches = (prompts.Length + most - 1) / most; // of like sizes
        return (int)((prompts.Length + batches - 1) / batches);
    }

    // What a measurement depends on besides the model: the rows and the settings.
    private string Compared =>
        $"{JsonSerializer.Serialize(comparison! with { Data = [] }, ReadableJson)} " +
        $"{data.ComparisonExamples.Count} {ExampleFingerprint.Of(data.ComparisonExamples)}";

    private ComparisonSide? KnownBefore()
    {
        string path = Path.Combine(parts.Recipe.Output, BeforeFile);
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
}
