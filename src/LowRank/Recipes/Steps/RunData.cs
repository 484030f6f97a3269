using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Data.Streaming;
using LowRank.Tasks;

namespace LowRank.Recipes.Steps;

/// <summary>The data that a run learns from and is measured on.</summary>
internal sealed record RunData : IDisposable
{
    private const int ProbedSteps = 32;

    /// <summary>The task that read the data.</summary>
    public required ITask Task { get; init; }

    /// <summary>The training examples.</summary>
    public required IReadOnlyList<IExample> Examples { get; init; }

    /// <summary>The held-out examples; may be empty.</summary>
    public IReadOnlyList<IExample> Validation { get; init; } = [];

    /// <summary>The rows of the comparison; may be empty.</summary>
    public IReadOnlyList<Row> ComparisonRows { get; init; } = [];

    /// <summary>The same rows as examples.</summary>
    public IReadOnlyList<IExample> ComparisonExamples { get; init; } = [];

    /// <summary><see cref="Examples"/> if they are created on demand during training; otherwise null.</summary>
    public StreamedExamples? Stream => Examples as StreamedExamples;

    /// <summary>The rows of the comparison that have a prompt.</summary>
    public IEnumerable<Row> PromptedRows => ComparisonRows.Where(
        row => Row.AsText(row.Fields["prompt"]) is not null);

    /// <summary>The first of them for each prompt: several rows may have the same prompt with different
    /// completions.</summary>
    public IEnumerable<Row> Prompts => PromptedRows.DistinctBy(row => row.Text("prompt"));

    /// <summary>The recipe, completed with the maximum text length from an embedding model's folder if it specifies
    /// none, so that the saved recipe records what was done.</summary>
    public static Recipe WithLength(Recipe recipe, ITask task, List<Words> notes)
    {
        if (task.Describe()?.MaxLength is not { } used || used == recipe.Training.MaxLength) return recipe;
        notes.Add(
            $"{recipe.Name("training.max_length")} is {used}, as the model's folder says; another length can be given");
        return recipe with { Training = recipe.Training with { MaxLength = used } };
    }

    /// <summary>Reads the data.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="task">The task on the model.</param>
    /// <param name="canWrite">Whether there is a tokenizer for generating texts.</param>
    /// <param name="notes">Receives notes for the user.</param>
    /// <param name="cancellation">Gives up at the next row. A stream goes on while the run trains, which ends after a
    /// step instead.</param>
    /// <exception cref="InputException">Rows cannot be used or do not suit the comparison.</exception>
    public static RunData Read(
        Recipe recipe, ITask task, bool canWrite, List<Words> notes, CancellationToken cancellation)
    {
        var sources = new RecipeSources(recipe, recipe.Data.Streaming ? CancellationToken.None : cancellation);
        bool talks = recipe.Data.Streaming; // whose rows are seen later
        IReadOnlyList<IExample> Load(RowSource source, string what)
        {
            TaskData loaded = task.Read(source);
            talks |= loaded.HasConversations;
            notes.AddRange(loaded.Warnings.Select(warning => Words.Of($"{what}{warning}")));
            return loaded.Examples;
        }
        IReadOnlyList<IExample> examples = recipe.Data.Streaming ? Streamed(recipe, task, sources)
            : sources.Weights is { } weights ? Mixed(sources, weights, recipe.Training.Seed, Load, notes)
            : Load(sources.Train[0], "");
        var data = new RunData { Task = task, Examples = examples };
        try
        {
            if (sources.Validation is { } validation)
                data = data with { Validation = Load(validation, "Validation: ") };
            if (recipe.Data.ChatTemplate is not null && !talks)
                notes.Add(
                    $"{recipe.Name("data.chat_template")} writes nothing: no row is a conversation. It is kept with " +
                    $"what is trained all the same.");
            if (sources.Comparison is not { } compared) return data;
            data = data with
            {
                ComparisonExamples = Load(compared, "Comparison: "),
                ComparisonRows = compared.ReadAll(foreign: recipe.Objective.Preference is null),
            };
            data.RequireComparable(recipe, compared, canWrite);
            return data;
        }
        catch
        {
            data.Dispose();
            throw;
        }
    }

    /// <summary>The examples to examine before training: all, or the first of a stream.</summary>
    public IReadOnlyList<IExample> Some(TrainingSection training) => Stream is null ? Examples
        : [.. Stream.Take(ProbedSteps * training.BatchSize * training.GradientAccumulation)];

    public void Dispose() => Stream?.Dispose();

    private static StreamedExamples Streamed(Recipe recipe, ITask task, RecipeSources sources)
    {
        TrainingSection training = recipe.Training;
        int rows = checked((int)(training.Steps!.Value * training.BatchSize * training.GradientAccumulation));
        StreamedExamples stream =
            ((IStreamingTask)task).Stream(sources.Train, RecipeOptions.Stream(recipe), rows);
        try
        {
            _ = stream[0]; // what is wrong with the first rows is said before any work
            return stream;
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    private static MixedExamples Mixed(RecipeSources sources, IReadOnlyList<double> weights, long seed,
        Func<RowSource, string, IReadOnlyList<IExample>> load, List<Words> notes)
    {
        IReadOnlyList<IExample>[] parts =
            [.. sources.Train.Select(source => load(source, $"{source.Paths[0]}: "))];
        var mixed = new MixedExamples(parts, weights, seed);
        notes.AddRange(mixed.Describe([.. sources.Train.Select(source => source.Paths[0])]).Select(Words.Plain));
        return mixed;
    }

    private void RequireComparable(Recipe recipe, RowSource source, bool canWrite)
    {
        ComparisonSection comparison = recipe.Comparison!;
        string where = string.Join(", ", source.Paths);
        if (comparison.Facts > 0 && !Prompts.Any(row => row.Texts("facts").Count > 0))
            throw new InputException(
                $"comparison.facts is {comparison.Facts}, but no row of {where} has a prompt and facts. " +
                "Add \"facts\": [\"…\"] to the rows, or set comparison.facts to 0.");
        if (comparison.References > 0 && !PromptedRows.Any())
            throw new InputException(
                $"comparison.references is {comparison.References}, but no row of {where} has a prompt.");
        if (!canWrite && (comparison.Facts > 0 || comparison.Generations > 0 || comparison.References > 0))
            throw new InputException(
                $"comparison asks for generated texts, but {recipe.Model} has no tokenizer. Add tokenizer.json, or " +
                "set comparison.facts, comparison.generations and comparison.references to 0.");
    }
}
