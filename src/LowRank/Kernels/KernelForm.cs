namespace LowRank.Kernels;

/// <summary>Which form of the operations in this folder runs: the fast one wherever it fits, or the plain one
/// everywhere.</summary>
/// <remarks>Each operation is a static class that holds both forms and the choice between them. The plain form is the
/// formula in torch's operations; it runs on every device, and the fast forms give its results but for rounding. The
/// environment variable <see cref="Variable"/> makes the choice for a process. <see cref="UsePlain"/> makes it for the
/// caller's own flow of control, so that tests that run side by side do not disturb each other.</remarks>
internal static class KernelForm
{
    /// <summary>The environment variable: "plain", "fast", or not set, which means fast. It is read once.</summary>
    public const string Variable = "LOWRANK_KERNELS";

    private static readonly AsyncLocal<bool> PlainHere = new();
    private static bool? plainEverywhere;

    /// <summary>Whether every operation runs its plain form.</summary>
    /// <exception cref="InputException">The environment variable has another value.</exception>
    public static bool IsPlain => (plainEverywhere ??= Parse(Environment.GetEnvironmentVariable(Variable)))
        || PlainHere.Value;

    /// <summary>Runs the plain form until the result is disposed of.</summary>
    public static IDisposable UsePlain() => new Scope();

    /// <summary>What a value of <see cref="Variable"/> means.</summary>
    internal static bool Parse(string? value) => value switch
    {
        null or "" or "fast" => false,
        "plain" => true,
        _ => throw new InputException($"{Variable} is \"{value}\", expected plain or fast."),
    };

    private sealed class Scope : IDisposable
    {
        private readonly bool before = PlainHere.Value;

        public Scope() => PlainHere.Value = true;

        public void Dispose() => PlainHere.Value = before;
    }
}
