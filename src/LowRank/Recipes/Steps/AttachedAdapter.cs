using LowRank.Adapters;
using LowRank.Data;
using LowRank.Tasks;
using LowRank.Training;
using LowRank.Training.Preferences;

namespace LowRank.Recipes.Steps;

/// <summary>What is trained: an adapter in the model's slots, or every weight.</summary>
/// <param name="Adapter">The adapter; null if every weight is trained.</param>
/// <param name="Weights">The weights that the optimizer changes.</param>
/// <param name="Hooks">The method's additions to training; null if every weight is trained.</param>
internal sealed record AttachedAdapter(Adapter? Adapter, ITrainedWeights Weights, ITrainingHooks? Hooks) : IDisposable
{
    private ReferenceModel? reference;

    /// <summary>Creates the adapter, or opens the one that training continues from, and attaches it.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="opened">The base.</param>
    /// <param name="folders">The base's name, and the folder of an adapter to start from.</param>
    /// <param name="templates">Chat templates to save with what is trained; null for the base's.</param>
    /// <param name="task">The task; null if the rows cannot be read, which is reported elsewhere.</param>
    /// <param name="examples">The training examples, for initialisations that examine them.</param>
    /// <param name="notes">Receives notes for the user.</param>
    /// <exception cref="InputException">The adapter is not compatible with the base.</exception>
    public static AttachedAdapter Attach(Recipe recipe, OpenedBase opened, FetchedFolders folders,
        AdapterChatTemplates? templates, ITask? task, IReadOnlyList<IExample> examples, List<Words> notes)
    {
        if (recipe.Adapter.Method is not { } method)
            return new AttachedAdapter(null, new FullModel(opened.Model)
            {
                Task = task?.Describe(), Data = recipe.Data.Reading(), ChatTemplates = templates,
            }, null);
        Adapter adapter = folders.Start is { } start ? Adapter.Load(start, opened.Model)
            : Adapter.Create(opened.Model, Config(recipe, opened, folders), recipe.Training.Seed,
                method.CalibrationExamples is > 0 and var count && task is not null
                    ? new ExampleCalibration(task, examples, count) : null);
        try
        {
            if (folders.Start is { } begun) RequireKind(recipe, adapter, begun, method);
            notes.AddRange(adapter.Warnings.Select(Words.Plain));
            Complete(adapter, recipe, opened, folders, templates, task);
            if (opened.Vocabulary is { } added) notes.Add(Words.Plain(Describe(recipe.Adapter.NewTokens!, added)));
            adapter.Attach();
            ITrainingHooks hooks = method.Hooks(adapter);
            return new AttachedAdapter(adapter, new TrainedAdapter(adapter, hooks), hooks);
        }
        catch
        {
            adapter.Dispose();
            throw;
        }
    }

    /// <summary>Gives preferences the model to compare with.</summary>
    /// <exception cref="InputException">Every weight is trained, so that no reference is left.</exception>
    public bool Compare(PreferenceTask task, Recipe recipe, OpenedBase opened, FetchedFolders folders)
    {
        if (Adapter is null && recipe.Objective.Reference != ReferenceModel.Precomputed)
            throw new InputException(
                $"{recipe.Name("objective.type")} {recipe.Objective.Type} compares with the base, and " +
                $"{recipe.Name("adapter.method")}: full changes it. Set {recipe.Name("objective.reference")} to " +
                $"{ReferenceModel.Precomputed}, or use another method, or an objective without a reference (orpo, " +
                "cpo, simpo).");
        reference = new ReferenceModel(Adapter, folders.Start is { } start
            && recipe.Objective.Reference != ReferenceModel.Base
            ? Adapters.Adapter.Load(start, opened.Model) : null);
        task.Compare(reference);
        return true;
    }

    public void Dispose()
    {
        reference?.Dispose();
        Hooks?.Dispose();
        Adapter?.Dispose();
    }

    private static AdapterConfig Config(Recipe recipe, OpenedBase opened, FetchedFolders folders)
    {
        AdapterConfig config = RecipeOptions.Config(recipe.Adapter) with { BaseModel = folders.BaseName };
        return opened.Vocabulary is { } added ? added.Train((LoraConfig)config, opened.Model.Network) : config;
    }

    // What its folder stores in addition to the weights.
    private static void Complete(Adapter adapter, Recipe recipe, OpenedBase opened, FetchedFolders folders,
        AdapterChatTemplates? templates, ITask? task)
    {
        adapter.Vocabulary = opened.Vocabulary ?? adapter.Vocabulary;
        adapter.ChatTemplates = templates ?? adapter.ChatTemplates;
        adapter.Task = task?.Describe() ?? adapter.Task;
        // sentence-transformers looks for it in the adapter's folder
        if (adapter.Task?.Sentence is not null) adapter.Vocabulary ??= AdapterVocabulary.Load(folders.Model);
        adapter.Data = recipe.Data.Reading();
    }

    private static string Describe(IReadOnlyList<string> tokens, AdapterVocabulary added)
    {
        IEnumerable<string> ids = tokens.Zip(added.NewIds).Select(token => $"{token.First} ({token.Second})");
        return $"new tokens: {string.Join(", ", ids)}; the adapter's folder has the tokenizer with them";
    }

    // A method's hooks work only for its own type of adapter.
    private static void RequireKind(Recipe recipe, Adapter adapter, string folder, IAdapterMethod method)
    {
        string found = adapter.Config.PeftType;
        if (method.Configure(new LoraConfig()).PeftType == found) return;
        IEnumerable<string> fitting = AdapterMethods.All.Where(
            other => other.Configure(new LoraConfig()).PeftType == found)
            .Select(other => other.Name);
        throw new InputException(
            $"{recipe.Name("training.init_adapter")}: {folder} is a {found} adapter, and " +
            $"{recipe.Name("adapter.method")} is {method.Name}. Set {recipe.Name("adapter.method")} to " +
            $"{string.Join(" or ", fitting)}.");
    }
}
