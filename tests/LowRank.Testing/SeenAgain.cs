
namespace LowRank.Testing;

/// <summary>Measurements of time and memory: what one of them finds may be the machine's doing, and is reported only
/// when the others find it too.</summary>
public static class SeenAgain
{
    private const int Looks = 3;

    /// <summary>Fails where every look finds something wrong.</summary>
    /// <param name="look">Measures, and says what is wrong; null for nothing.</param>
    public static void Fail(Func<string?> look)
    {
        List<string> found = [];
        while (look() is { } wrong) Add(found, wrong);
    }

    /// <inheritdoc cref="Fail(Func{string})"/>
    public static async Task Fail(Func<Task<string?>> look)
    {
        List<string> found = [];
        while (await look() is { } wrong) Add(found, wrong);
    }

    private static void Add(List<string> found, string wrong)
    {
        found.Add(wrong);
        TestContext.Current.TestOutputHelper?.WriteLine(wrong);
        if (found.Count == Looks) Assert.Fail($"Seen {Looks} times:\n{string.Join('\n', found)}");
    }
}
