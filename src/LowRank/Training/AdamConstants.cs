using System.Runtime.InteropServices;

namespace LowRank.Training;

/// <summary>The numbers of a step of AdamW, rounded to float32 where PyTorch rounds them.</summary>
/// <param name="Scale">What gradients are multiplied with first: less than 1 where they are clipped.</param>
/// <param name="Decay">1 − rate · weight decay.</param>
/// <param name="Fraction">1 − beta1.</param>
/// <param name="Beta2">beta2.</param>
/// <param name="Rest">1 − beta2.</param>
/// <param name="Root">√(1 − beta2^step).</param>
/// <param name="Epsilon">The guard against division by zero.</param>
/// <param name="StepSize">−rate / (1 − beta1^step).</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct AdamConstants(float Scale, float Decay, float Fraction, float Beta2, float Rest, float Root, float Epsilon, float StepSize);
