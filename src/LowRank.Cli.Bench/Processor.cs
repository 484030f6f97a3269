using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text;

namespace LowRank.Cli.Bench;

/// <summary>The processor's kind, as CPUID tells it: system names such as "AMD EPYC" say little.</summary>
internal static class Processor
{
    private const int Features = 7; // a leaf of CPUID

    /// <summary>Vendor, family and model; the architecture where they are unknown.</summary>
    /// <remarks>The vendor stands in EBX, EDX, ECX of leaf 0; family and model in EAX of leaf 1, each in a short and an
    /// extended part.</remarks>
    public static string Name()
    {
        if (!X86Base.IsSupported) return RuntimeInformation.ProcessArchitecture.ToString();
        int signature = X86Base.CpuId(1, 0).Eax, family = (signature >> 8 & 0xF) + (signature >> 20 & 0xFF),
            model = (signature >> 4 & 0xF) + (signature >> 12 & 0xF0);
        return string.Create(CultureInfo.InvariantCulture, $"{Vendor()} family {family} model {model}");
    }

    /// <summary>Its units for products of bfloat16: AVX512_BF16, AMX, both or none.</summary>
    /// <remarks>AMX-BF16 is bit 22 of EDX in leaf 7, AVX512_BF16 bit 5 of EAX in its second part.</remarks>
    public static string Bf16Units()
    {
        if (!X86Base.IsSupported || X86Base.CpuId(0, 0).Eax < Features) return "none";
        (int parts, int _, int _, int edx) = X86Base.CpuId(Features, 0);
        bool vectors = parts >= 1 && (X86Base.CpuId(Features, 1).Eax >> 5 & 1) == 1, tiles = (edx >> 22 & 1) == 1;
        return (vectors, tiles) switch
        {
            (true, true) => "AVX512_BF16 and AMX",
            (true, false) => "AVX512_BF16",
            (false, true) => "AMX",
            _ => "none",
        };
    }

    /// <summary>A short name of the kind for folders: vendor and widest unit, such as
    /// amd-avx512 or intel-amx.</summary>
    public static string ShortName()
    {
        string vendor = !X86Base.IsSupported ? Name() : Vendor() switch
        {
            "AuthenticAMD" => "amd",
            "GenuineIntel" => "intel",
            string other => other,
        };
        string unit = Bf16Units().Contains("AMX", StringComparison.Ordinal) ? "amx"
            : Machine.Vectors().Replace("-", "", StringComparison.Ordinal).Replace(' ', '-');
        return $"{vendor}-{unit}".ToLowerInvariant();
    }

    private static string Vendor()
    {
        (int _, int ebx, int ecx, int edx) = X86Base.CpuId(0, 0);
        return Encoding.ASCII.GetString(MemoryMarshal.AsBytes<int>([ebx, edx, ecx]));
    }
}
