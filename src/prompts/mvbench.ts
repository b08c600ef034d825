/**
 * Where MVBench keeps the clips of each list, below `video/`: the published table of its authors
 * (OpenGVLab, "MVBench", arXiv 2311.17005), which the paper's reference reads, too. Clips of
 * different sources share names, so that a list's clips must be looked for in its own source.
 */
const FOLDERS: Readonly<Record<string, string>> = {
  action_antonym: "ssv2_video",
  action_count: "perception/videos",
  action_localization: "sta/sta_video",
  action_prediction: "star/Charades_v1_480",
  action_sequence: "star/Charades_v1_480",
  character_order: "perception/videos",
  counterfactual_inference: "clevrer/video_validation",
  egocentric_navigation: "vlnqa",
  episodic_reasoning: "tvqa/frames_fps3_hq",
  fine_grained_action: "Moments_in_Time_Raw/videos",
  fine_grained_pose: "nturgbd",
  moving_attribute: "clevrer/video_validation",
  moving_count: "clevrer/video_validation",
  moving_direction: "clevrer/video_validation",
  object_existence: "clevrer/video_validation",
  object_interaction: "star/Charades_v1_480",
  object_shuffle: "perception/videos",
  scene_transition: "scene_qa/video",
  state_change: "perception/videos",
  unexpected_action: "FunQA_test/test",
};

/** The folder of a list's clips, relative to `video/`; undefined for a list that is none of MVBench's. */
export function mvbenchFolder(list: string): string | undefined {
  return Object.hasOwn(FOLDERS, list) ? FOLDERS[list] : undefined;
}

/** Every folder of the table, once. */
export const MVBENCH_FOLDERS: readonly string[] = [...new Set(Object.values(FOLDERS))];
