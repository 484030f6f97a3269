using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.Recipes.Steps;

/// <summary>The device of a run.</summary>
/// <param name="Device">The device.</param>
/// <param name="ProgramBytes">Memory of the process with its libraries, before a model is opened.</param>
/// <param name="ComputeDtype">The type that it computes frozen weights' products in, one of
/// <see cref="ComputeTypes.Names"/> except auto.</param>
internal sealed record RunMachine(Device Device, long ProgramBytes, string ComputeDtype)
{
    /// <summary>Loads the native library, finds the device and checks the output location.</summary>
    public static RunMachine Start(Recipe recipe, RunPreparation preparation)
    {
        long bytes = preparation.Try("native library", LoadNative);
        Device device = preparation.Try("device", () => Devices.Parse(recipe.Device)) ?? CPU;
        Devices.UseTf32(device, recipe.Tf32);
        preparation.Try("output folder", () => OutputFolder.Check(recipe));
        // Trained weights are not rounded.
        string asked = recipe.Adapter.Method is null ? ComputeTypes.Float32 : recipe.ComputeDtype;
        string? compute = preparation.Try("compute type", () => Devices.ComputeType(asked, device));
        return new RunMachine(device, bytes, compute ?? ComputeTypes.Float32);
    }

    private static long LoadNative()
    {
        Kernels.Native.NativeRuntime.Initialize();
        using Tensor first = zeros(1);
        return ProcessMemory.ResidentBytes();
    }
}
