using LowRank.Adapters;
using LowRank.Recipes;
using LowRank.Training;

namespace LowRank;

// Learning from rows.
public sealed partial class LanguageModel
{
    /// <summary>Trains an adapter on rows, and uses it from then on. It runs as <c>lowrank train</c> runs a
    /// recipe.</summary>
    /// <param name="rows">The rows to learn from: a file, a folder, a pattern; or a program's own
    /// (<see cref="Dataset.From{T}(IEnumerable{T})"/>).</param>
    /// <param name="adapter">What is trained: the config record of any type of adapter, such as
    /// <see cref="LoraConfig"/> or <see cref="VeraConfig"/>; null for the defaults of LoRA, or of
    /// <see cref="TrainingOptions.Method"/>. A property that an adaptation cannot heed is an error.</param>
    /// <param name="training">How, and for which task; null for the defaults.</param>
    /// <param name="progress">Hears of each step and evaluation; null for nobody.</param>
    /// <param name="cancellationToken">Ends the run after the current step. With an output folder the weights so far
    /// and a checkpoint are saved there, from which <see cref="TrainingOptions.Resume"/> goes on.</param>
    /// <exception cref="InputException">Options or rows cannot be used: all problems of the options at once, before a
    /// row is read; then all of the rows and the model, before any training.</exception>
    /// <exception cref="OperationCanceledException">The run was cancelled; the model is as before.</exception>
    /// <exception cref="NonFiniteLossException">Step after step the loss or gradient is no number.</exception>
    /// <exception cref="RunStorageException">The output folder cannot be written to.</exception>
    /// <example><code>
    /// AdaptationResult result = await model.AdaptAsync(
    ///     Dataset.From(reviews.Select(review => new { text = review.Body, label = review.Stars })),
    ///     new LoraConfig { Rank = 8 },
    ///     new TrainingOptions { Task = TaskOptions.SequenceClassification, ValidationShare = 0.1, Patience = 2 });
    /// Console.WriteLine($"{result.BestLoss} after {result.Steps} steps");
    /// </code></example>
    public async Task<AdaptationResult> AdaptAsync(
        Dataset rows, AdapterConfig? adapter = null, TrainingOptions? training = null,
        IProgress<TrainingProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ThrowIfDisposed();
        training ??= new TrainingOptions();
        using AdaptationFiles files = new(rows, training, options.Logger);
        AdaptedMethod adapted = AdaptationRecipe.Check(Name, options, rows, adapter, training, files);
        await files.Write(cancellationToken).ConfigureAwait(false);
        return await thread.Run(token => AdaptationRecipe.Wording(files, adapted).Do(() => Adapt(
            AdaptationRecipe.Create(Name, options, rows, files, adapted, training),
            training, new Adaptation(options.Logger, progress, adapted, files), token)), cancellationToken)
            .ConfigureAwait(false);
    }

    private AdaptationResult Adapt(
        Recipe recipe, TrainingOptions training, Adaptation adaptation, CancellationToken cancellation)
    {
        TrainingResult result = adaptation.Run(recipe, training.Resume, options.Hub, bases.Lend, cancellation);
        string best = Path.Combine(recipe.Output, RunFolder.Best);
        LoadedAdapter trained =
            Take(training.KeepBest && result.BestStep is not null ? best : result.SavedFolder);
        return new AdaptationResult(trained, result.Ending, result.Steps)
        {
            Losses = adaptation.Losses,
            Loss = result.LastLoss,
            Evaluations = adaptation.Evaluations,
            BestLoss = result.BestLoss,
            BestStep = result.BestStep,
            Tokens = result.Tokens,
            Elapsed = result.Elapsed,
            OutputFolder = training.OutputFolder is null ? null : recipe.Output,
            Notes = adaptation.Notes,
        };
    }
}
