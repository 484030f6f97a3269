using System.Text.Encodings.Web;
using System.Text.Json;
using LowRank.Data;
using LowRank.Generation;
using LowRank.Tasks;
using LowRank.Training;

namespace LowRank.Recipes.Steps;

/// <summary>Measures a run's model on the comparison's rows, before and after training.</summary>
/// <param name="parts">The run.</param>
internal sealed class RunComparer(RunParts parts)
{
    private const string BeforeFile = "comparison.before.json";
    private const int GenerationBatch = 50; // prompts generated together when facts are counted

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
    public ComparisonSide? Measure()
    {
        if (comparison is null) return null;
        double loss =
            Evaluation.RunFinite(data.Task, data.ComparisonExamples, parts.Recipe.Training.EvalBatchSize, 0).Loss;
        List<Row> asked = [.. data.Prompts.Take(Math.Max(comparison.Facts, comparison.Generations))];
        IReadOnlyList<string> texts = Generate([.. asked.Select(row => row.Text("prompt")!)]);
        int stated = 0, facts = 0;
        for (int i = 0; i < Math.Min(asked.Count, comparison.Facts); i++)
        {
            IReadOnlyList<string> expected = asked[i].Texts("facts");
            stated += FactCheck.CountStated(texts[i], expected);
            facts += expected.Count;
        }
        var side = new ComparisonSide(loss, stated, facts, [.. texts.Take(comparison.Generations)]);
        if (comparison.References == 0 || data.Task is not IGeneratingTask generating) return side;
        GeneratedTexts written = GeneratedTexts.Create(
            generating, [.. data.PromptedRows], GenerationBatch, comparison.MaxNewTokens, comparison.References);
        return side with { Metrics = written.Metrics() };
    }

    /// <inheritdoc cref="RecipeRun.MeasureBefore"/>
    public ComparisonSide? MeasureBefore(bool resume, Func<ComparisonSide?> measure) =>
        comparison is null ? null : before = (resume ? KnownBefore() : null) ?? measure();

    /// <inheritdoc cref="RecipeRun.Compare"/>
    public Comparison Compare(ComparisonSide first, ComparisonSide last)
    {
        List<Row> shown = [.. data.Prompts.Take(comparison!.Generations)];
        var compared = new Comparison(first, last, [.. shown.Select(row => row.Text("prompt")!)],
            [.. shown.Select(row => row.Text("completion") ?? "")]);
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
            Generate([.. data.Prompts.Take(Math.Max(comparison.Facts, comparison.Generations)).Take(GenerationBatch)
                .Select(row => row.Text("prompt")!)]);
    }

    private IReadOnlyList<string> Generate(IReadOnlyList<string> prompts)
    {
        if (prompts.Count == 0) return [];
        var options = new GenerationOptions
        {
            MaxNewTokens = comparison!.MaxNewTokens,
            StopTokenIds = parts.StopTokens,
        };
        generator ??= new TextGenerator(parts.Model.Decoder);
        return [.. prompts.Chunk(GenerationBatch).SelectMany(batch =>
            generator.Generate([.. batch.Select(prompt => PromptEncoding.Prompt(parts.Tokenizer!, prompt))], options)
                .Select(ids => parts.Tokenizer!.Decode(ids, skipSpecialTokens: true).Trim()))];
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
