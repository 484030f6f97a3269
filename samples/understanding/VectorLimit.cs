namespace LowRank.Samples.Understanding;

/// <summary>Narrower vectors than the processor has, asked for by environment variables: it computes as one without
/// them would, with its own clock, caches and memory.</summary>
/// <param name="Name">What names of files end in.</param>
/// <param name="Vectors">What the command line says of such a process.</param>
/// <param name="Environment">The variables: .NET's, torch's, and those of the libraries that torch multiplies
/// with.</param>
public sealed record VectorLimit(string Name, string Vectors, IReadOnlyDictionary<string, string> Environment)
{
    /// <summary>No AVX-512. .NET 10 has one switch for all of it.</summary>
    public static VectorLimit Avx2 { get; } = new("avx2", "AVX2", new Dictionary<string, string>
    {
        ["DOTNET_EnableAVX512"] = "0", ["ATEN_CPU_CAPABILITY"] = "avx2", ["MKL_ENABLE_INSTRUCTIONS"] = "AVX2",
            ["ONEDNN_MAX_CPU_ISA"] = "AVX2",
    });

    /// <summary>All of them.</summary>
    public static IReadOnlyList<VectorLimit> All { get; } = [Avx2];
}
