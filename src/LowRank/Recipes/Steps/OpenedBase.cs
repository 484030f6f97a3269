using LowRank.Adapters;
using LowRank.Data.Rows;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Models.Families;
using LowRank.Tasks;

namespace LowRank.Recipes.Steps;

/// <summary>Lends a base that is open without adapters, in just the way that is asked for; null where none
/// is.</summary>
/// <param name="baseFolder">The base's folder.</param>
/// <param name="head">The kind of its head.</param>
/// <param name="vocabulary">Rows of its token embedding; 0 leaves them as they are.</param>
/// <param name="form">How its weights are kept and multiplied.</param>
internal delegate PretrainedModel? BaseLender(string baseFolder, HeadKind head, int vocabulary, BaseForm form);

/// <summary>The base model, with the head of the recipe's task.</summary>
/// <param name="Model">The model.</param>
/// <param name="Kind">The task.</param>
/// <param name="Settings">The task's settings, completed from the data and the base.</param>
/// <param name="Vocabulary">The tokens that the recipe adds; null for none.</param>
internal sealed record OpenedBase(
    PretrainedModel Model, ITaskKind Kind, TaskSettings Settings, AdapterVocabulary? Vocabulary) : IDisposable
{
    private bool isLent;

    /// <summary>Opens the base.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="folders">The base's folder, and the folder of an adapter to start from.</param>
    /// <param name="machine">The device to compute on.</param>
    /// <param name="lender">Lends the base where the caller has it open; null for nobody.</param>
    /// <param name="notes">Receives notes for the user.</param>
    /// <exception cref="InputException">The folder does not contain a model for the task.</exception>
    public static OpenedBase Open(
        Recipe recipe, FetchedFolders folders, RunMachine machine, BaseLender? lender, List<Words> notes)
    {
        ITaskKind kind = TaskRegistry.Get(recipe.Task);
        ConfigReader config = ConfigReader.Open(Path.Combine(folders.Model, "config.json"));
        IModelFamily family = FamilyRegistry.Get(config.ModelType);
        RequireFitting(recipe, kind, config.ModelType, family);
        TaskSettings settings = Complete(recipe, kind, folders.Start, config);
        HeadRequest head =
            RequestHead(recipe, kind, settings, HeadRequest.From(config, family), folders.Start is not null);
        AdapterVocabulary? vocabulary = folders.Start is null && recipe.Adapter.NewTokens is { Count: > 0 } tokens
            ? AdapterVocabulary.Extend(folders.Model, tokens) : null;
        int rows = vocabulary?.Rows ?? (folders.Start is { } begun ? AdapterVocabulary.RowsFor(begun) : 0);
        var form = new BaseForm(AdapterBase.DtypeFor(folders.Start is { } started ? [started] : [], recipe.BaseDtype),
            machine.ComputeDtype, recipe.BaseHead);
        bool isTrained = recipe.Adapter.Method is null; // and not the caller's any more
        PretrainedModel? lent = isTrained ? null : lender?.Invoke(folders.Model, kind.Head, rows, form);
        PretrainedModel model = lent ?? (recipe.Training.FromScratch
            ? PretrainedModel.FromScratch(folders.Model, recipe.Training.Seed, machine.Device, head)
            : PretrainedModel.Open(
                folders.Model, machine.Device, isTrained, head, rows, form.Dtype, form.Compute, form.Head));
        notes.AddRange(Notes(model, settings));
        if (model.ComputeDtype != ComputeTypes.Float32)
            notes.Add(Words.Of($"products with the base's frozen weights are computed in {model.ComputeDtype}"));
        return new OpenedBase(model, kind, settings, vocabulary) { isLent = lent is not null };
    }

    /// <summary>Disposes of the base unless the caller owns it.</summary>
    public void Dispose()
    {
        if (!isLent) Model.Dispose();
    }

    private static void RequireFitting(Recipe recipe, ITaskKind kind, string modelType, IModelFamily family)
    {
        if (kind.Fits(family)) return;
        IEnumerable<string> fitting = TaskRegistry.Names.Where(name => TaskRegistry.Get(name).Fits(family));
        throw new InputException(
            $"{recipe.Name("task")} is {recipe.Task}, which a {modelType} model ({recipe.Model}) cannot be adapted " +
            $"to; it can be to {string.Join(", ", fitting)}.");
    }

    private static TaskSettings Complete(Recipe recipe, ITaskKind kind, string? start, ConfigReader config)
    {
        TaskSettings given = RecipeOptions.Task(recipe);
        if (start is not null && AdapterTask.Load(start) is { } earlier)
            given = given with { Sentence = earlier.Sentence, Labels = given.Labels ?? earlier.Labels,
                Problem = given.Problem ?? earlier.Problem };
        return kind.Complete(given, RowSource.From(recipe.Data.Train, RecipeOptions.Rows(recipe.Data)), config);
    }

    private static HeadRequest RequestHead(
        Recipe recipe, ITaskKind kind, TaskSettings settings, HeadRequest own, bool isStarted)
    {
        int size = kind.HeadSize(settings);
        bool isClassifier = kind.Head is HeadKind.SequenceClassification or HeadKind.TokenClassification;
        if (isClassifier && own.Kind == kind.Head && own.Labels != size && !settings.NewHead && !isStarted
            && !recipe.Training.FromScratch)
            throw new InputException(
                $"The base {recipe.Model} is a classifier with {own.Labels} scores, and the data asks for {size} " +
                $"({(settings.Labels is { } labels ? string.Join(", ", labels.Take(20)) : settings.Problem)}). " +
                $"Begin with a new head{KnownSettings.NewHead.To("true").Aside}, or name the base's labels in the " +
                $"data.");
        return new HeadRequest(kind.Head, size, recipe.Training.Seed)
        {
            Renewal = settings.NewHead ? HeadRenewal.Always : isStarted ? HeadRenewal.WhereOther : HeadRenewal.Never,
        };
    }

    private static IEnumerable<Words> Notes(PretrainedModel model, TaskSettings settings)
    {
        if (settings.Labels is { } labels)
            yield return Words.Of(
                $"{labels.Count} labels: {string.Join(", ", labels.Take(20))}{(labels.Count > 20 ? ", …" : "")}");
        if (settings.Problem is { } problem) yield return Words.Of($"problem: {problem}");
        foreach (Words note in settings.Notes) yield return note;
        if (settings.LengthNote(model.Network) is { } shorter) yield return shorter;
        foreach (string note in model.Notes) yield return Words.Plain(note);
        foreach (var format in model.Network.PackedWeights.Values.GroupBy(weight => weight.Format))
            yield return Words.Of(
                $"{format.Count()} weights of the base are kept in {format.Key}: " +
                $"{format.Sum(weight => weight.ElementCount):n0} numbers in " +
                $"{format.Sum(weight => weight.Bytes) / 1e6:n1} MB");
        if (model.Network.CreatedWeights.Count > 0)
        {
            Words head = settings.NewHead ? Words.Of($"the head is a new one{KnownSettings.NewHead.Aside}")
                : Words.Of($"the base has no weights for its head");
            yield return Words.Of($"{head}, which starts at random: {string.Join(", ", model.Network.CreatedWeights)}");
        }
    }
}
