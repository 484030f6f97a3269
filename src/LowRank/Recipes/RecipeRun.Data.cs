using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Data.Streaming;
using LowRank.Tasks;

namespace LowRank.Recipes;

// What the run learns from and is measured on.
public sealed partial class RecipeRun
{
    private const int ProbedSteps = 32;
    private StreamedExamples? stream;

    /// <summary>What is known only as the run goes on, a sentence each: what became of the rows of a stream so far, and
    /// of texts that filled the model's context.</summary>
    public IReadOnlyList<string> LateNotes =>
        [.. stream?.Notes ?? [], .. generator?.Notes ?? [], .. (Task as IGeneratingTask)?.GenerationNotes ?? []];

    private static int StreamedRows(TrainingSection training) =>
        checked((int)(training.Steps!.Value * training.BatchSize * training.GradientAccumulation));

    private static IReadOnlyList<string> MissingData(DataSection data) =>
        RowFiles.Missing([.. data.Train, .. data.Validation]);

    private void ReadData(List<string> notes)
    {
        Task = Kind.Start(Model, Tokenizer, Settings);
        if (Task.Describe()?.MaxLength is { } used && used != Recipe.Training.MaxLength)
        {
            notes.Add(
                $"training.max_length is {used}, as the model's folder says; a recipe that names another length " +
                "gets that");
            // what the run keeps says what was done
            Recipe = Recipe with { Training = Recipe.Training with { MaxLength = used } };
        }
        var sources = new RecipeSources(Recipe);
        bool talks = Recipe.Data.Streaming; // whose rows are seen later
        TaskData Load(RowSource source, string what)
        {
            TaskData loaded = Task.Read(source);
            talks |= loaded.HasConversations;
            notes.AddRange(loaded.Warnings.Select(warning => what + warning));
            return loaded;
        }
        Examples = Train(sources, Load, notes);
        if (sources.Validation is { } validation) Validation = Load(validation, "Validation: ").Examples;
        if (Recipe.Data.ChatTemplate is not null && !talks)
            notes.Add(
                "data.chat_template writes nothing: no row is a conversation. It is kept with what is trained all " +
                "the same.");
        if (Recipe.Comparison is not { } comparison) return;
        RowSource compared = sources.Comparison!;
        ComparisonExamples = Load(compared, "Comparison: ").Examples;
        ComparisonRows = compared.ReadAll(foreign: true);
        string where = string.Join(", ", compared.Paths);
        if (comparison.Facts > 0 && !Prompted().Any(row => row.Texts("facts").Count > 0))
            throw new InputException(
                $"comparison.facts is {comparison.Facts}, but no row of {where} has a prompt and facts. " +
                "Add \"facts\": [\"…\"] to the rows, or set comparison.facts to 0.");
        if (comparison.References > 0 && !PromptedRows().Any())
            throw new InputException(
                $"comparison.references is {comparison.References}, but no row of {where} has a prompt.");
        if (Tokenizer is null && (comparison.Facts > 0 || comparison.Generations > 0 || comparison.References > 0))
            throw new InputException(
                $"comparison asks for generated texts, but {Recipe.Model} has no tokenizer. Add tokenizer.json, or " +
                "set comparison.facts, comparison.generations and comparison.references to 0.");
    }

    private StreamedExamples Stream(RecipeSources sources)
    {
        stream = ((IStreamingTask)Task)
            .Stream(sources.Train, RecipeOptions.Stream(Recipe), StreamedRows(Recipe.Training));
        _ = stream[0]; // what is wrong with the first rows is said before any work
        return stream;
    }

    // Those that are looked at before training: all, or the first of a stream.
    private IReadOnlyList<IExample> SomeExamples => stream is null ? Examples
        : [.. stream.Take(ProbedSteps * Recipe.Training.BatchSize * Recipe.Training.GradientAccumulation)];

    private IReadOnlyList<IExample> Train(
        RecipeSources sources, Func<RowSource, string, TaskData> load, List<string> notes)
    {
        if (Recipe.Data.Streaming) return Stream(sources);
        if (sources.Weights is not { } weights) return load(sources.Train[0], "").Examples;
        IReadOnlyList<IExample>[] parts =
            [.. sources.Train.Select(source => load(source, $"{source.Paths[0]}: ").Examples)];
        var mixed = new MixedExamples(parts, weights, Recipe.Training.Seed);
        notes.AddRange(mixed.Describe([.. sources.Train.Select(source => source.Paths[0])]));
        return mixed;
    }
}
