using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Whether a device has units that multiply bfloat16. Without them torch's bfloat16 products are two hundred
/// times slower than float32's.</summary>
internal static class BFloat16Units
{
    private const int LeastMajor = 8; // compute capability of NVIDIA's Ampere
    private const string Needed =
        "bfloat16 products need a processor with AVX512_BF16 or AMX (Intel since Cooper Lake, AMD since Zen 4), or " +
        "an NVIDIA GPU of compute capability 8.0 or more (since Ampere)";

    private static readonly AsyncLocal<ComputeType?> StatedHere = new();

    /// <summary>What <see cref="State"/> says for the caller's control flow; null without it.</summary>
    public static ComputeType? Stated => StatedHere.Value;

    /// <summary>For tests and experiments: takes a type as what bfloat16 and auto mean, whatever the machine has, until
    /// the result is disposed of.</summary>
    public static IDisposable State(ComputeType compute) => new Scope(compute);

    /// <summary>What the device has instead of units for bfloat16, and what is needed, as a clause; null if it has
    /// them.</summary>
    public static string? Missing(Device device) => device.type switch
    {
        DeviceType.CPU => OfProcessor(),
        DeviceType.CUDA => Capability(Math.Max(0, device.index)) switch
        {
            null => $"the compute capability of {device} could not be read from NVIDIA's driver; {Needed}",
            (>= LeastMajor, _) => null,
            var (major, minor) => string.Create(
                CultureInfo.InvariantCulture, $"{device} has compute capability {major}.{minor}; {Needed}"),
        },
        _ => $"the device is {device}; {Needed}",
    };

    // libtorch's oneDNN asks for AVX-512 in any case, and for the unit of these two that there is.
    private static string? OfProcessor()
    {
        if (!X86Base.IsSupported) return $"this is an {RuntimeInformation.ProcessArchitecture} processor; {Needed}";
        if (!Avx512BW.IsSupported)
            return $"this processor has {(Avx2.IsSupported ? "AVX2 and no AVX-512" : "no AVX2")}; {Needed}";
        (int last, int _, int _, int edx) = X86Base.CpuId(7, 0);
        bool hasAmx = (edx & (1 << 22)) != 0, // AMX-BF16
            hasAvx512 = last >= 1 && (X86Base.CpuId(7, 1).Eax & (1 << 5)) != 0; // AVX512_BF16
        return hasAmx || hasAvx512 ? null : $"this processor has AVX-512 without AVX512_BF16 and without AMX; {Needed}";
    }

    // From NVIDIA's driver, because TorchSharp does not expose it.
    private static unsafe (int Major, int Minor)? Capability(int index)
    {
        const int MajorAttribute = 75, MinorAttribute = 76; // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
        if (!NativeLibrary.TryLoad(OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1", out nint driver)
            || !NativeLibrary.TryGetExport(driver, "cuInit", out nint start)
            || !NativeLibrary.TryGetExport(driver, "cuDeviceGet", out nint find)
            || !NativeLibrary.TryGetExport(driver, "cuDeviceGetAttribute", out nint read)) return null;
        int gpu, major, minor;
        var get = (delegate* unmanaged[Cdecl]<int*, int, int, int>)read;
        return ((delegate* unmanaged[Cdecl]<uint, int>)start)(0) == 0
            && ((delegate* unmanaged[Cdecl]<int*, int, int>)find)(&gpu, index) == 0
            && get(&major, MajorAttribute, gpu) == 0 && get(&minor, MinorAttribute, gpu) == 0 ? (major, minor) : null;
    }

    private sealed class Scope : IDisposable
    {
        private readonly ComputeType? before = StatedHere.Value;

        public Scope(ComputeType compute) => StatedHere.Value = compute;

        public void Dispose() => StatedHere.Value = before;
    }
}
