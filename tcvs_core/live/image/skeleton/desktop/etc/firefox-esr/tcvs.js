// No bars about a sandbox that the container takes the place of, no first-run pages, no motion.
pref("security.sandbox.warn_unprivileged_namespaces", false);
pref("browser.aboutwelcome.enabled", false);
pref("browser.preonboarding.enabled", false);
pref("datareporting.policy.dataSubmissionEnabled", false);
pref("termsofuse.bypassNotification", true);
pref("browser.sessionstore.max_resumed_crashes", -1);
pref("browser.tabs.inTitlebar", 0);
pref("browser.uitour.enabled", false);
pref("extensions.getAddons.showPane", false);
pref("ui.prefersReducedMotion", 1);
