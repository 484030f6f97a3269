namespace LowRank.Adapters;

/// <summary>All adaptation methods: the library's own, in one list, and those that a program registers.</summary>
public static class AdapterMethods
{
    /// <summary>The settings that select modules, by their names in recipes.</summary>
    public static IReadOnlyList<string> TargetKeys { get; } =
        ["target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "modules_to_save"];

    /// <summary>The settings of every low-rank pair.</summary>
    public static IReadOnlyList<string> PairKeys { get; } =
        [.. TargetKeys, "rank", "alpha", "dropout", "bias", "use_rslora", "rank_pattern", "alpha_pattern",
            "ensure_weight_tying", "trainable_token_indices", "new_tokens"];

    private static readonly Registry<IAdapterMethod> Methods = new("adapter method", method => method.Name,
    [
        new AdaLoraMethod(), new BitFitMethod(), new CordaMethod(), new DoraMethod(), new EvaMethod(), new Ia3Method(),
        new LoftQMethod(), new LoHaMethod(), new LoKrMethod(), new LoraFaMethod(), new LoraGaMethod(),
        new LoraMethod(), new LoraPlusMethod(), new OloraMethod(), new OrthogonalMethod(), new PissaMethod(),
        new PrefixTuningMethod(), new PromptTuningMethod(), new RsLoraMethod(), new VeraMethod(),
    ], "full"); // training without an adapter

    /// <summary>The names of all methods, sorted.</summary>
    public static IReadOnlyList<string> Names => Methods.Names;

    /// <summary>All methods, sorted by name.</summary>
    public static IReadOnlyList<IAdapterMethod> All => Methods.All;

    /// <summary>Registers your own method for all recipes read from now on. Thread-safe.</summary>
    /// <exception cref="ArgumentException">Its name is taken; methods cannot be replaced.</exception>
    public static void Register(IAdapterMethod method) => Methods.Register(method);

    /// <summary>The method that a config's record stands for (<see cref="IAdapterMethod.For"/>); null if there is
    /// none.</summary>
    internal static IAdapterMethod? For(AdapterConfig config) =>
        Methods.BuiltInFirst.Select(method => method.For(config)).FirstOrDefault(method => method is not null);

    /// <summary>The method with a name.</summary>
    /// <exception cref="InputException">The method is unknown; the message lists the known ones.</exception>
    public static IAdapterMethod Get(string name) => Methods.Find(name)
        ?? throw new InputException($"There is no adapter method \"{name}\"; there are {string.Join(", ", Names)}.");
}

/// <summary>An adaptation method: which adapter it creates, its initialisation and its additions to training; listed in
/// <see cref="AdapterMethods"/>.</summary>
/// <remarks>A record with its own settings as properties: <c>new EvaMethod { Examples = 128 }</c>.</remarks>
public interface IAdapterMethod
{
    /// <summary>The value of <c>adapter.method</c>.</summary>
    string Name { get; }

    /// <summary>Its name, as its authors write it.</summary>
    string Title { get; }

    /// <summary>Its source, such as "arXiv 2106.09685".</summary>
    string Paper { get; }

    /// <summary>A one-sentence description for the docs.</summary>
    string Summary { get; }

    /// <summary>The settings of <see cref="AdapterConfig"/> and LoRA that affect it, by their names in recipes; all
    /// others are rejected.</summary>
    IReadOnlyList<string> Keys { get; }

    /// <summary>Its own settings.</summary>
    IReadOnlyList<MethodOption> Options => [];

    /// <summary>The default rank: its config's own.</summary>
    int DefaultRank => new LoraConfig().Rank;

    /// <summary>The default alpha: its config's own.</summary>
    double DefaultAlpha => new LoraConfig().Alpha.Value;

    /// <summary>The default learning rate.</summary>
    double DefaultLearningRate => 2e-4;

    /// <summary>Number of examples that it examines before training; 0 for none.</summary>
    int CalibrationExamples => 0;

    /// <summary>The adapter's config.</summary>
    /// <param name="shared">Settings apart from the method's own: rank, alpha and modules, as in LoRA; a method uses
    /// the keys that it has (<see cref="Keys"/>).</param>
    AdapterConfig Configure(LoraConfig shared);

    /// <summary>The method that <see cref="Configure">makes</see> such a config, with its own settings as the config
    /// has them, so that a program can adapt a model with the record alone. By default null: the method is always
    /// named.</summary>
    /// <param name="config">The config.</param>
    /// <returns>Null if the method makes no such config.</returns>
    IAdapterMethod? For(AdapterConfig config) => null;

    /// <summary>Its additions to training.</summary>
    /// <param name="adapter">The adapter that is trained.</param>
    ITrainingHooks Hooks(Adapter adapter) => NoTrainingHooks.Instance;

    /// <summary>The method with some of its own settings changed.</summary>
    /// <param name="given">Values by option name; omitted options keep their value.</param>
    /// <exception cref="ArgumentException">The method has no such option.</exception>
    IAdapterMethod With(IReadOnlyDictionary<string, object?> given) =>
        given.Aggregate(this, (method, value) => method.Option(value.Key).Set(method, value.Value));

    /// <summary>An option by name.</summary>
    /// <exception cref="ArgumentException">The method has no such option.</exception>
    MethodOption Option(string name) => Options.FirstOrDefault(option => option.Name == name)
        ?? throw new ArgumentException($"The method {Name} has no setting {name}.", nameof(name));
}

/// <summary>One of a method's own settings, which can be set by name.</summary>
/// <remarks>The method is a record; the option is one of its properties, or one of its config's, so each default is
/// defined only once.</remarks>
public sealed record MethodOption
{
    private readonly Func<object?> defaultValue;

    private MethodOption(string name, string doc, Type type, Func<object?> defaultValue,
        Func<IAdapterMethod, object?> get, Func<IAdapterMethod, object?, IAdapterMethod> set)
    {
        (Name, Doc, Type, this.defaultValue) = (name, doc, type, defaultValue);
        (Get, Set) = (get, set);
    }

    /// <summary>Its key in <c>method_options</c>.</summary>
    public string Name { get; }

    /// <summary>A description for the docs.</summary>
    public string Doc { get; }

    /// <summary>The type of its value: <see cref="int"/>, <see cref="double"/>, <see cref="bool"/>, string or list of
    /// strings.</summary>
    public Type Type { get; }

    /// <summary>Its default: a value of <see cref="Type"/>, or null.</summary>
    public object? Default => defaultValue();

    /// <summary>The minimum.</summary>
    public double Least { get; init; }

    /// <summary>The maximum.</summary>
    public double Most { get; init; } = double.PositiveInfinity;

    /// <summary>The allowed strings; null for any.</summary>
    public IReadOnlyList<string>? Choices { get; init; }

    /// <summary>Why it has no effect with the method's other settings, as the end of a sentence that starts with the
    /// option; null, or a null result, if it has an effect.</summary>
    public Func<IAdapterMethod, string?>? Unless { get; init; }

    /// <summary>Gets its value in a method.</summary>
    internal Func<IAdapterMethod, object?> Get { get; }

    /// <summary>Returns a method with another value.</summary>
    internal Func<IAdapterMethod, object?, IAdapterMethod> Set { get; }

    /// <summary>An option.</summary>
    /// <typeparam name="TMethod">The method.</typeparam>
    /// <typeparam name="TValue">One of the types of <see cref="Type"/>.</typeparam>
    /// <param name="name">Its key in <c>method_options</c>.</param>
    /// <param name="get">Gets its value in a method; a new method has the default.</param>
    /// <param name="set">Returns a method with another value.</param>
    /// <param name="doc">A description for the docs.</param>
    public static MethodOption Create<TMethod, TValue>(
        string name, Func<TMethod, TValue> get, Func<TMethod, TValue, TMethod> set, string doc)
        where TMethod : class, IAdapterMethod, new() =>
        new(name, doc, typeof(TValue), () => get(new TMethod()), method => get((TMethod)method),
            (method, value) => set((TMethod)method, Converted<TValue>(value)));

    // An integer is accepted as a number.
    private static TValue Converted<TValue>(object? value) => value switch
    {
        TValue same => same,
        null => default!,
        _ => (TValue)Convert.ChangeType(value, typeof(TValue), System.Globalization.CultureInfo.InvariantCulture),
    };
}
