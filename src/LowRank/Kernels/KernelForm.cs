namespace LowRank.Kernels;

/// <summary>The form of this folder's operations that runs: the fast one wherever it is supported, or the plain one
/// everywhere.</summary>
/// <remarks>The class of each operation holds both forms and chooses between them. The plain form is the formula in
/// torch's operations; it runs on every device, and the fast forms give the same results up to rounding. The
/// environment variable <see cref="Variable"/> selects the form for a process. <see cref="UsePlain"/> selects it for
/// the caller's own control flow, so that parallel tests do not interfere. A backward pass runs in the form in which
/// its graph was built, on any thread.</remarks>
internal static class KernelForm
{
    /// <summary>The environment variable: "plain", "fast", or unset, which means fast. It is read once.</summary>
    public const string Variable = "LOWRANK_KERNELS";

    private static readonly AsyncLocal<bool> PlainHere = new();
    private static readonly Lazy<bool> PlainEverywhere =
        new(() => Parse(Environment.GetEnvironmentVariable(Variable)));

    /// <summary>Whether every operation runs in its plain form.</summary>
    /// <exception cref="InputException">The environment variable has another value.</exception>
    public static bool IsPlain => PlainHere.Value || PlainEverywhere.Value;

    /// <summary>Runs the plain form until the result is disposed of.</summary>
    public static IDisposable UsePlain() => Use(isPlain: true);

    /// <summary>Runs the plain or the fast form until the result is disposed of; the plain one in any case if the
    /// environment variable selects it.</summary>
    public static IDisposable Use(bool isPlain) => new Scope(isPlain);

    /// <summary>The meaning of a value of <see cref="Variable"/>.</summary>
    internal static bool Parse(string? value) => value switch
    {
        null or "" or "fast" => false,
        "plain" => true,
        _ => throw new InputException($"{Variable} is \"{value}\", expected plain or fast."),
    };

    private sealed class Scope : IDisposable
    {
        private readonly bool before = PlainHere.Value;

        public Scope(bool isPlain) => PlainHere.Value = isPlain;

        public void Dispose() => PlainHere.Value = before;
    }
}
